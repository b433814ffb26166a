"""What a preview found, as its page shows it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pipeline.contracts.preview_dataset import (
    PreviewDatasetResults,
    PreviewedError,
)
from studio.datasets.preview_words import DELIMITER_NAMES, FORMAT_NAMES, finding_words
from studio.datasets.row_error_texts import describe
from studio.datasets.stored_tables import StoredTable, stored_table


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownProblem:
    """A wrong row among the first ones, or what is wrong with the file."""

    place: str
    column: str
    code: str
    message: str
    hint: str
    excerpt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFact:
    """One thing about how the file is read, and why."""

    name: str
    value: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownPreview:
    """How a file would be read, in the reader's words."""

    file_format: str
    benchmark: str
    facts: tuple[ShownFact, ...]
    table: StoredTable
    refusal: ShownProblem | None
    """Why the file would be refused as a whole."""
    problems: tuple[ShownProblem, ...]
    notes: tuple[str, ...]
    hidden_sheets: tuple[str, ...]
    members: tuple[str, ...]
    num_other_members: int
    not_read: tuple[str, ...]


def shown_preview(results: PreviewDatasetResults, kind: str) -> ShownPreview:
    """What the page says of a preview of `kind`."""
    headers = {column.field: column.name for column in results.columns}
    problems = tuple(_problem(error, headers) for error in results.errors)
    about_file = [
        problem
        for problem, error in zip(problems, results.errors, strict=True)
        if error.is_about_file and error.file is None
    ]
    rows = (
        {field: (text.text, text.num_chars) for field, text in row.fields.items()}
        for row in results.rows
    )
    return ShownPreview(
        file_format=str(FORMAT_NAMES.get(results.format, results.format)),
        benchmark=results.benchmark,
        facts=tuple(_facts(results)),
        table=stored_table(rows, kind),
        refusal=about_file[0] if about_file else None,
        problems=tuple(problem for problem in problems if problem not in about_file),
        notes=tuple(finding_words(note) for note in results.notes),
        hidden_sheets=tuple(sheet.name for sheet in results.sheets if not sheet.is_visible),
        members=results.members,
        num_other_members=results.num_members - len(results.members),
        not_read=results.not_read,
    )


def _facts(results: PreviewDatasetResults) -> Iterator[ShownFact]:
    sheets = ", ".join(sheet.name for sheet in results.sheets if sheet.is_read)
    delimiter = DELIMITER_NAMES.get(results.delimiter, results.delimiter)
    header_row = "" if results.header_row is None else str(results.header_row)
    found = (
        ("encoding", _("Encoding"), results.encoding.upper()),
        ("delimiter", _("Character between the columns"), str(delimiter)),
        ("sheets", _("Sheets"), sheets),
        ("header_row", _("Row with the names of the columns"), header_row),
    )
    for key, name, value in found:
        reason = results.reasons.get(key)  # type: ignore[call-overload]  # one of its keys
        if value or reason is not None:
            why = "" if reason is None else finding_words(reason)
            yield ShownFact(name=name, value=value or "-", why=why)


def _problem(error: PreviewedError, headers: Mapping[str, str]) -> ShownProblem:
    params = {**error.params, "value": error.value_excerpt}
    message, hint = describe(error.code, params, headers)
    line = "" if error.line is None else str(error.line)
    return ShownProblem(
        place=f"{error.file}:{line}" if error.file else line,
        column=headers.get(error.column or "", error.column or ""),
        code=error.code,
        message=message,
        hint=hint,
        excerpt=error.value_excerpt,
    )
