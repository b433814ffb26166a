"""The report of an import, as its page shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.contracts.dataset_manifest import SourceFile
from pipeline.contracts.import_results import ImportDatasetResults, RowErrorGroup
from pipeline.contracts.reports import Report
from studio.datasets.models import Import
from studio.datasets.parquet_pages import read_matching_page, read_page
from studio.datasets.preview_words import finding_words
from studio.datasets.row_error_texts import ShownError, describe, shown_error
from studio.runs.paths import attempt_dir
from studio.runs.reports import run_report

PAGE_SIZE = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorGroup:
    """Everything wrong for the same reason, told by its first case."""

    code: str
    count: int
    first_places: tuple[str, ...]
    """Lines of the file; of an archive with the member before them."""
    message: str
    hint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What a run found in a file, with one page of the errors."""

    num_rows: int
    num_rejected: int
    has_file_error: bool
    can_be_kept: bool
    """Rows were written that may become a version."""
    rows_path: Path | None
    """Of these rows, unless they are not there any more."""
    source: SourceFile
    groups: tuple[ErrorGroup, ...]
    errors_path: Path | None
    code: str
    """Only errors of this code are on the page; "" for all."""
    errors: tuple[ShownError, ...]
    headers: Mapping[str, str]
    """The file's own name of each field."""
    previous_start: int | None
    next_start: int | None
    has_files: bool
    """Wrong rows stand in several files, or sheets of a workbook."""
    notes: tuple[str, ...]
    """What a person should know of the file."""

    @property
    def num_read(self) -> int:
        """Rows of the file that are not blank; a file that was refused has none."""
        return 0 if self.is_only_about_file else self.num_rows + self.num_rejected

    @property
    def is_only_about_file(self) -> bool:
        """Nothing was read: there is one reason and no row to show."""
        return self.has_file_error and self.num_rows + self.num_rejected == 1

    @property
    def can_be_repaired(self) -> bool:
        """Single rows can be corrected in the browser."""
        formats = {"csv", "xlsx", "json_lines", "json_array", "parquet"}
        return self.source.format in formats and not self.has_file_error

    @property
    def table_columns(self) -> list[str]:
        """The header of a table; nothing for formats whose rows are not split into cells."""
        if self.source.format not in {"csv", "xlsx"}:
            return []
        return [column.name for column in self.source.columns]

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Names of the benchmarks that were recognised in the file or its members."""
        names = [self.source.benchmark, *(member.benchmark for member in self.source.members)]
        return tuple(dict.fromkeys(name for name in names if name))


def read_report(started: Import, *, code: str = "", start: int = 0) -> ImportReport | None:
    """What the import found, with the errors from index `start` on; None without a report."""
    report = run_report(started.run)
    if report is None or not isinstance(report.results, ImportDatasetResults):
        return None
    results = report.results
    headers = {column.field: column.name for column in results.source.columns}
    groups = tuple(_group(group, headers) for group in results.errors_by_code)
    directory = attempt_dir(started.run_id, started.run.attempt)
    path = None
    errors: tuple[ShownError, ...] = ()
    previous_start = next_start = None
    if "errors" in report.outputs:
        path = directory / report.outputs["errors"].path
        if code in {group.code for group in groups}:
            page = read_matching_page(path, column="code", value=code, start=start, size=PAGE_SIZE)
        else:
            code = ""
            page = read_page(path, start=start, size=PAGE_SIZE)
        errors = tuple(shown_error(row, headers, index) for index, row in page.rows)
        previous_start, next_start = page.previous_start, page.next_start
    return ImportReport(
        num_rows=results.num_rows,
        num_rejected=results.num_rejected,
        has_file_error=results.has_file_error,
        can_be_kept=results.manifest is not None,
        rows_path=_rows_path(report, directory),
        source=results.source,
        groups=groups,
        errors_path=path,
        code=code,
        errors=errors,
        headers=headers,
        previous_start=previous_start,
        next_start=next_start,
        has_files=bool(results.source.members)
        or any(group.first_files for group in results.errors_by_code),
        notes=tuple(finding_words(note) for note in results.source.notes),
    )


def _rows_path(report: Report, directory: Path) -> Path | None:
    if "dataset" not in report.outputs:
        return None
    path = directory / report.outputs["dataset"].path
    return path if path.is_file() else None


def _places(group: RowErrorGroup) -> tuple[str, ...]:
    if not group.first_files:
        return tuple(map(str, group.first_lines))
    places = zip(group.first_files, group.first_lines, strict=False)
    return tuple(f"{file}:{line}" for file, line in places)


def _group(group: RowErrorGroup, headers: Mapping[str, str]) -> ErrorGroup:
    params = {**group.example.params, "value": group.example.value_excerpt}
    message, hint = describe(group.code, params, headers)
    return ErrorGroup(
        code=group.code,
        count=group.count,
        first_places=_places(group),
        message=message,
        hint=hint,
    )
