"""Read an uploaded file into an immutable data set version; starts without torch.

Results: `contracts.import_results.ImportDatasetResults`; every row that is not blank is counted.
Outputs: `dataset` (dataset/rows.parquet, beside it manifest.json) of a committed version, `errors`
(errors.parquet) when rows were rejected.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.contracts.dataset_manifest import (
    ColumnMeaning,
    SourceFile,
    SourceMember,
)
from pipeline.contracts.import_results import ImportDatasetResults
from pipeline.contracts.import_specs import ImportDatasetSpec
from pipeline.contracts.row_errors import RowError
from pipeline.data.error_tally import ErrorTally
from pipeline.data.file_sets import FileSet, open_file_set
from pipeline.data.formats import detect_format
from pipeline.data.import_sources import SourceData, member_data, source_data
from pipeline.data.original_rows import OriginalRow
from pipeline.data.reading import Reading
from pipeline.data.records import Record
from pipeline.data.seen_ids import SeenIds
from pipeline.data.upload_files import check_upload
from pipeline.data.version_files import ErrorWriter, RowWriter, storable
from pipeline.data.version_manifest import write_manifest
from pipeline.data.workbook_findings import noted
from pipeline.durable import partial_path, publish
from pipeline.errors import StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext

PROGRESS_ROWS = 5_000


def run(spec: ImportDatasetSpec, context: RunContext) -> RecipeResult:
    """The version, if the policy allows one, and a report of what is wrong with the file.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch`: the upload itself is gone or changed.
            What is wrong inside the file is a result, not an error.
        StoppedAtCheckpoint: on request; nothing is kept.
    """
    path = Path(spec.source.resolved_path)
    sha256 = check_upload(spec.source, spec.file_name)
    directory = context.run_dir / "dataset"
    partial = partial_path(directory)
    errors_path = context.run_dir / "errors.parquet"
    for leftover in (directory, partial):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    with (
        RowWriter(partial / "rows.parquet", spec.dataset_kind) as rows,
        ErrorWriter(partial_path(errors_path)) as errors,
    ):
        copied = _Copy(context, rows, errors)
        source = _read(spec, path, sha256, copied)
        copied.finish()

    # Of a file that was given up nobody knows what the rows after that place would have been.
    is_whole = not copied.was_given_up and not copied.tally.forbids_version
    is_allowed = errors.num_rows == 0 or spec.policy == "valid_rows"
    is_committed = rows.num_rows > 0 and is_whole and is_allowed
    manifest = None
    outputs: dict[str, Path] = {}
    if is_committed:
        manifest = write_manifest(
            partial, spec.dataset_kind, source, rows, num_rejected=errors.num_rows
        )
        publish(partial, directory)
        outputs["dataset"] = directory / "rows.parquet"
    else:
        shutil.rmtree(partial)
    if errors.num_rows:
        publish(partial_path(errors_path), errors_path)
        outputs["errors"] = errors_path
    else:
        partial_path(errors_path).unlink()
    results = ImportDatasetResults(
        num_rows=rows.num_rows,
        num_rejected=errors.num_rows,
        is_committed=is_committed,
        has_file_error=copied.tally.has_file_error,
        errors_by_code=copied.tally.groups(),
        source=source,
        manifest=manifest,
    )
    return RecipeResult(results=results, outputs=outputs, inputs={"source": sha256})


def _read(spec: ImportDatasetSpec, path: Path, sha256: str, copied: "_Copy") -> SourceFile:
    """Every row is copied; what the source is."""
    reading = Reading.of(spec, spec.dataset_kind)
    source = SourceFile(
        name=spec.file_name,
        sha256=sha256,
        num_bytes=_num_bytes(path),
        format="",
        encoding="",
        columns=(),
    )
    if path.is_dir() or detect_format(path) == "zip":
        return _read_set(source, path, reading, copied)
    data = source_data(path, name=spec.file_name, reading=reading)
    columns = tuple(
        ColumnMeaning(name=storable(name), field=storable(field)) for name, field in data.columns()
    )
    copied.all_of(data)
    return source.model_copy(
        update={
            "format": data.file_format or "",
            "encoding": data.encoding or "",
            "delimiter": data.delimiter,
            "columns": columns,
            "benchmark": "" if data.recognised is None else data.recognised.benchmark,
            "notes": noted(data.sheets.notes),
        }
    )


def _read_set(source: SourceFile, path: Path, reading: Reading, copied: "_Copy") -> SourceFile:
    source = source.model_copy(update={"format": "folder" if path.is_dir() else "zip"})
    file_set = open_file_set(path, reading.kind, source.name)
    if isinstance(file_set, RowError):
        copied.add(file_set, OriginalRow())
        return source
    with tempfile.TemporaryDirectory(dir=copied.context.run_dir) as scratch:
        members = tuple(_copied_members(file_set, Path(scratch), reading, copied))
    not_read = tuple(storable(name) for name in file_set.not_read)
    return source.model_copy(update={"members": members, "not_read": not_read})


def _copied_members(
    file_set: FileSet, scratch: Path, reading: Reading, copied: "_Copy"
) -> Iterator[SourceMember]:
    with contextlib.closing(member_data(file_set, scratch, reading)) as found:
        for member, data in found:
            before = copied.num_rows, copied.num_rejected
            if isinstance(data, RowError):
                copied.add(data, OriginalRow())
            else:
                copied.all_of(data)
            yield SourceMember(
                name=storable(member.name),
                format="" if isinstance(data, RowError) else data.file_format or "",
                benchmark=_benchmark_of(data),
                subject=member.role.subject,
                split=member.role.split,
                num_rows=copied.num_rows - before[0],
                num_rejected=copied.num_rejected - before[1],
            )


def _benchmark_of(data: SourceData | RowError) -> str:
    if isinstance(data, RowError) or data.recognised is None:
        return ""
    return data.recognised.benchmark


def _num_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


class _Copy:
    """Every item goes to one of the two files of the import."""

    def __init__(self, context: RunContext, rows: RowWriter, errors: ErrorWriter) -> None:
        self.context = context
        self.tally = ErrorTally()
        self.was_given_up = False
        """The file, or the whole archive, was not read to its end; a member costs itself only."""
        self._rows = rows
        self._errors = errors
        self._taken = SeenIds()
        """Ids of earlier files, where there are several."""

    @property
    def num_rows(self) -> int:
        return self._rows.num_rows

    @property
    def num_rejected(self) -> int:
        return self._errors.num_rows

    def all_of(self, data: SourceData) -> None:
        """All rows of a file."""
        # Lines are an upper bound of rows; of several files only those done are known.
        num_lines = 0 if data.member else data.num_lines()
        progress = (
            self.context.progress("validate", total=num_lines, unit="rows") if num_lines else None
        )
        for num_done, (item, original) in enumerate(data.items(self._taken), start=1):
            self.add(item, original)
            if num_done % PROGRESS_ROWS == 0:
                if self.context.stop:
                    raise StoppedAtCheckpoint("stopped on request while the file was read")
                self._tell_numbers()
                if progress is not None:
                    progress.advance_to(num_done)

    def _tell_numbers(self) -> None:
        self.context.log_metrics(None, rows=float(self.num_rows), rejected=float(self.num_rejected))

    def add(self, item: Record | RowError, original: OriginalRow) -> None:
        """One row, or what is wrong with a row or a file."""
        if isinstance(item, RowError):
            self.tally.add(item)
            self.was_given_up |= item.is_about_file and item.file is None
            self._errors.append(item, original)
            if self.num_rejected == 1:  # nobody should wait to know that something is wrong
                self._tell_numbers()
        else:
            self._rows.append(item)

    def finish(self) -> None:
        """The last event says how many rows there were."""
        num_done = self.num_rows + self.num_rejected
        self.context.progress("validate", total=num_done, unit="rows", done=num_done)
