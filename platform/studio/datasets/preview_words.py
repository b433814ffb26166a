"""Words for what a preview found out about a file."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from pipeline.contracts.findings import Finding
from pipeline.contracts.workbook_notes import WORKBOOK_NOTE_TEXTS

FORMAT_NAMES: Mapping[str, str | Promise] = {
    "json_lines": "JSON Lines",
    "json_array": _("JSON array"),
    "csv": _("CSV table"),
    "xlsx": _("XLSX workbook"),
    "parquet": "Parquet",
    "text": _("plain text"),
    "markdown": "Markdown",
    "docx": _("Word document"),
    "pdf": _("PDF document"),
    "zip": _("zip archive"),
    "folder": _("folder"),
}
DELIMITER_NAMES: Mapping[str, str | Promise] = {
    ",": _("comma ,"),
    ";": _("semicolon ;"),
    "\t": _("tab"),
    "|": _("bar |"),
}
REASONS: Mapping[str, str | Promise] = {
    "encoding.chosen": _("you chose it"),
    "encoding.bom": _("the file begins with the mark of this encoding"),
    "encoding.bom_damaged": _(
        "the file begins with the mark of this encoding; {count} lines are damaged, the first is "
        "line {line}"
    ),
    "encoding.valid": _("every character of the file is valid in it"),
    "encoding.damaged": _("valid in it but for {count} damaged lines, the first is line {line}"),
    "encoding.plausible": _("it is not UTF-8, and its text makes sense in this encoding"),
    "encoding.plausible_damaged": _(
        "it is not UTF-8, and its text makes sense in this encoding but for {count} damaged lines, "
        "the first is line {line}"
    ),
    "encoding.probably": _("it is probably {name}; nothing is read until you choose it below"),
    "encoding.unknown": _("no known encoding fits; choose one below"),
    "delimiter.chosen": _("you chose it"),
    "delimiter.separator_line": _("the first line of the file says so"),
    "delimiter.names_columns": _("so split, the header names the columns that are needed"),
    "delimiter.most_columns": _("it splits the header into most columns"),
    "delimiter.first_row": _("the first row with several cells is split by it"),
    "header_row.chosen": _("you chose it"),
    "header_row.separator_line": _("it follows the line that names the separator"),
    "header_row.names_columns": _("the first row that names the columns that are needed"),
    "header_row.most_columns": _("the first row with about as many cells as the others"),
    "header_row.first_row": _("the first row with several cells"),
    "header_row.found": _("the first row that names columns; rows above it are titles"),
    "sheets.chosen": _("you chose it"),
    "sheets.only_one": _("the only visible sheet with content"),
    "sheets.ask": _("several sheets have content: choose below"),
}
"""`str.format` templates over the finding's params, by what is explained and why."""


def finding_words(finding: Finding) -> str:
    """The finding as a sentence; its code when it is of another version of the pipeline."""
    note = WORKBOOK_NOTE_TEXTS.get(finding.code)
    words = REASONS.get(finding.code) if note is None else gettext(note)
    if words is None:
        return finding.code
    try:
        return str(words).format_map(finding.params)
    except KeyError:
        return finding.code
