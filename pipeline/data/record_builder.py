"""From the raw rows of one file to its records: what a row alone does not tell is kept here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.contracts.row_errors import RowError
from pipeline.data.answer_numbers import AnswerNumbers
from pipeline.data.benchmarks.recognition import Recognised
from pipeline.data.choices import LETTERS
from pipeline.data.documents.pieces import cut_record
from pipeline.data.formats import FileFormat
from pipeline.data.layouts import build_record
from pipeline.data.line_ids import LineIds, usual_name
from pipeline.data.mojibake import ACCEPTABLE, check_undamaged
from pipeline.data.reading import Reading
from pipeline.data.records import Record
from pipeline.data.row_fields import InvalidRowError
from pipeline.data.seen_ids import SeenIds
from pipeline.data.untrained_layouts import UntrainedRows

_TABLES = frozenset({"csv", "xlsx"})


class RecordBuilder:
    """Builds the records of a file one after another, and knows at its end what is wrong with it.

    Args:
        known: what the file was recognised as.
        is_version: the rows are those of a version, which were checked when they were imported.
    """

    def __init__(
        self,
        path: Path,
        reading: Reading,
        *,
        file_format: FileFormat,
        encoding: str,
        known: Recognised,
        is_version: bool = False,
    ) -> None:
        self._kind = kind = reading.kind
        self._known = known
        self._max_chars = reading.max_document_chars
        self._is_table = file_format in _TABLES
        self._first_number = reading.answers_from or 0
        self._ids = LineIds(path, file_format=file_format, encoding=encoding)
        self._seen = SeenIds()
        is_own = known.layout is None and not is_version
        self._may_be_damaged = not is_version and ACCEPTABLE not in reading.accept
        has_turns = kind in {"conversations", "domain_test"}
        self._untrained = UntrainedRows() if is_own and has_turns else None
        asks = is_own and kind == "multiple_choice" and reading.answers_from is None
        self._numbers = AnswerNumbers() if asks else None

    def build(self, line: int, row: dict[str, Any]) -> Sequence[Record] | RowError:
        """The record, or the pieces it is cut into, or why there is none.

        Nothing for a row that `errors` will tell of.
        """
        try:
            fields = self._known.native_fields(row, self._kind)
            if self._untrained is not None and self._untrained.take(self._named(fields), line):
                return ()
            record = self._record(line, fields)
            if self._may_be_damaged:
                check_undamaged(fields)
            pieces = cut_record(record, self._max_chars)
            for written in (record, *pieces):
                self._check_id(written.id, line)
        except InvalidRowError as exc:
            return self._known.told(exc).at_line(line)
        return [self._known.placed(piece) for piece in pieces or (record,)]

    def errors(self) -> list[RowError]:
        """What is wrong with the file as a whole, after its last row."""
        watches = (self._untrained, self._numbers)
        return [error for watch in watches if watch is not None for error in watch.errors()]

    def _check_id(self, name: str, line: int) -> None:
        first_line = self._seen.first_line(name, line)
        if first_line is not None:
            raise InvalidRowError(
                "row.id_duplicate", "id", value=name, id=name[:80], first_line=first_line
            )

    def _record(self, line: int, fields: dict[str, Any]) -> Record:
        if fields.get("id") in (None, "") and (name := self._ids.of(line)) != usual_name(line):
            fields = {**fields, "id": name}
        if self._kind != "multiple_choice":
            return build_record(fields, kind=self._kind, line=line)
        if self._known.layout is not None:
            fields = _with_number(fields)
        try:
            record = build_record(
                fields, kind=self._kind, line=line, first_number=self._first_number
            )
        except InvalidRowError as exc:
            if self._numbers is not None and exc.code == "row.answer_range":
                self._numbers.see(fields, int(exc.params["count"]), line)
            raise
        if self._numbers is not None:
            self._numbers.see(fields, len(record.choices), line)  # type: ignore[union-attr]
        return record

    def _named(self, fields: dict[str, Any]) -> Mapping[str, Any]:
        """The fields by the names the file has; a table's unknown columns stand in `meta`."""
        meta = fields.get("meta")
        return {**meta, **fields} if self._is_table and isinstance(meta, dict) else fields


def _with_number(fields: dict[str, Any]) -> dict[str, Any]:
    """A benchmark's letters are always those of its choices, never the text of one."""
    answer = fields.get("answer")
    if not isinstance(answer, str) or len(answer) != 1 or answer not in LETTERS:
        return fields
    index = LETTERS.index(answer)
    choices = fields.get("choices")
    is_given = index < len(choices) if isinstance(choices, list) else bool(fields.get(answer))
    return {**fields, "answer": index} if is_given else fields
