"""What an import reads: one file, or the data files of an archive or folder one after another."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.benchmarks.layouts import TableLayout
from pipeline.data.benchmarks.recognition import Recognised
from pipeline.data.encodings import Encoding, FoundEncoding, find_encoding
from pipeline.data.file_sets import FileSet, Member
from pipeline.data.formats import TEXT_FORMATS
from pipeline.data.original_rows import OriginalRow, OriginalRows, source_columns
from pipeline.data.readers import (
    FileFormat,
    detect_format,
    numbered_rows,
    recognise,
)
from pipeline.data.readers_xlsx import SheetsRead
from pipeline.data.reading import Reading
from pipeline.data.records import Record
from pipeline.data.seen_ids import SeenIds
from pipeline.data.table_forms import TableForm, find_table_form
from pipeline.data.text_lines import ends_lines_with_cr

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceData:
    """One data file with everything that was found out about it before its rows are read."""

    path: Path
    name: str
    """What a person calls it."""
    reading: Reading
    """With the delimiter and the header row that were found."""
    file_format: FileFormat | None
    """None for a file that cannot be read; its one item says why."""
    found_encoding: FoundEncoding | None
    """None for formats that have an encoding of their own."""
    table_form: TableForm | None
    """Of a CSV file."""
    recognised: Recognised | None
    member: Member | None = None
    sheets: SheetsRead = field(default_factory=SheetsRead)
    """Of a workbook: what its rows told, as far as they were read."""

    @property
    def encoding(self) -> Encoding | None:
        """What the text is read as; None for other formats, and for text that is not read."""
        return None if self.found_encoding is None else self.found_encoding.encoding

    def items(self, taken: SeenIds) -> Iterator[tuple[Record | RowError, OriginalRow]]:
        """Each row as a record or as the reason why it is none, then with the row as written.

        Args:
            taken: ids that other files of the set have; those of this one are added.
        """
        originals = self.originals()
        numbered = numbered_rows(
            self.path,
            replace(self.reading, encoding=self.encoding or self.reading.encoding),
            recognised=self.recognised,
            name=self.name,
            sheets=self.sheets,
        )
        nothing = OriginalRow()
        for item in numbered:
            if isinstance(item, RowError):
                found: Record | RowError = item
            else:
                found = item[1]
                if self.member is not None:
                    found = self._taken_id(*item, taken) or found
            if not isinstance(found, RowError):
                yield found, nothing
                continue
            original = nothing
            if not found.is_about_file and found.line is not None:
                original = originals.at(found.line, found.file or "")
            yield self._of_member(found, original)

    def originals(self) -> OriginalRows:
        """The rows as written, from the first on."""
        return OriginalRows(
            self.path,
            file_format=self.file_format,
            encoding=self.encoding or "utf-8",
            reading=self.reading,
            table=self.table,
            sheets=self.sheets,
        )

    def _taken_id(self, line: int, record: Record, taken: SeenIds) -> RowError | None:
        """The error of an id that another file has; within a file the reader has seen to it."""
        if taken.first_line(record.id, line) is None:
            return None
        params = {"id": record.id[:80]}
        return RowError(code="row.id_in_two_files", line=line, column="id", params=params)

    def _of_member(self, error: RowError, original: OriginalRow) -> tuple[RowError, OriginalRow]:
        if self.member is None:
            return error, original
        # Members have different columns, so that a row is given back as its text.
        text = original.text or "\t".join(original.cells or ())
        return replace(error, file=self.member.name), OriginalRow(text=text)

    @property
    def table(self) -> TableLayout | None:
        """What the columns are where the file is known to be a benchmark's."""
        return None if self.recognised is None else self.recognised.table

    def columns(self) -> list[tuple[str, str]]:
        """Name and meaning of each column or top-level key; none of text that is not read."""
        if self.found_encoding is not None and self.found_encoding.encoding is None:
            return []
        return source_columns(
            self.path,
            file_format=self.file_format,
            encoding=self.encoding or "utf-8",
            reading=self.reading,
            table=self.table,
        )

    @property
    def delimiter(self) -> str:
        """Between the columns of a CSV file; empty for other formats."""
        is_known = self.file_format == "csv" and self.reading.delimiter != "auto"
        return self.reading.delimiter if is_known else ""

    def num_lines(self) -> int:
        """Upper bound of rows, for progress; 0 where it is not known beforehand."""
        if self.file_format not in {"json_lines", "csv"}:
            return 0
        end = b"\r" if ends_lines_with_cr(self.path) else b"\n"
        num_lines = 1
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                num_lines += chunk.count(end)
        return num_lines


def source_data(
    path: Path, *, name: str, reading: Reading, member: Member | None = None
) -> SourceData:
    """The data file at `path`, which a person calls `name`."""
    detected = detect_format(path, reading)
    file_format = None if isinstance(detected, RowError) else detected
    found: FoundEncoding | None = None
    if file_format in TEXT_FORMATS:
        found = find_encoding(path, reading.encoding)
    encoding = None if found is None else found.encoding
    form: TableForm | None = None
    if file_format == "csv" and encoding is not None:
        form = find_table_form(path, encoding, reading)
        reading = replace(reading, delimiter=form.delimiter, header_row=form.header_row)
    recognised = None
    if file_format is not None and (found is None or encoding is not None):
        recognised = recognise(
            path,
            name=name,
            file_format=file_format,
            encoding=encoding or "utf-8",
            reading=reading,
            is_one_of_several=member is not None,
        )
    return SourceData(
        path=path,
        name=name,
        reading=reading,
        file_format=file_format,
        found_encoding=found,
        table_form=form,
        recognised=recognised,
        member=member,
    )


def member_data(
    file_set: FileSet, scratch: Path, reading: Reading
) -> Generator[tuple[Member, SourceData | RowError], None, None]:
    """Each data file of the set; an error where it cannot be unpacked."""
    for member, path in file_set.opened(scratch):
        entry = file_set.descriptions.entries.get(member.name)
        refusal = None if entry is None else entry.refusal
        if path is None:
            params = {"member": excerpt(member.name)}
            yield member, RowError(code="file.archive_damaged", params=params, file=member.name)
        elif refusal is not None:
            yield member, replace(refusal, file=member.name)
        else:
            own = reading if entry is None else entry.applied(reading)
            yield member, source_data(path, name=member.name, reading=own, member=member)
