"""Words for what a preview found out about a file."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from pipeline.contracts.preview_dataset import Finding

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
_WORDS: Mapping[str, str | Promise] = {}


def finding_words(finding: Finding) -> str:
    """The finding as a sentence; its code when it is of another version of the pipeline."""
    words = _WORDS.get(finding.code)
    if words is None:
        return finding.code
    try:
        return str(words).format_map(finding.params)
    except KeyError:
        return finding.code
