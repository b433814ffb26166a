"""How a file would be read, and why so, in the form of a preview's results."""

from typing import Any

from pipeline.contracts.findings import Finding
from pipeline.contracts.preview_dataset import PreviewedSheet
from pipeline.data.encodings import FoundEncoding
from pipeline.data.import_sources import SourceData
from pipeline.data.version_files import storable
from pipeline.data.workbook_findings import noted
from pipeline.data.workbooks.outline import workbook_outline


def found_out(data: SourceData) -> dict[str, Any]:
    """Fields of `PreviewDatasetResults` that say how the file is read."""
    if data.file_format == "xlsx":
        return _of_workbook(data)
    reasons: dict[str, Finding] = {}
    found: dict[str, Any] = {"encoding": data.encoding or "", "reasons": reasons}
    if data.found_encoding is not None:
        reasons["encoding"] = _of_encoding(data.found_encoding)
    form = data.table_form
    if form is not None:
        found |= {"delimiter": form.delimiter}
        reasons["delimiter"] = Finding(code=f"delimiter.{form.delimiter_reason}")
        if data.table is None or data.table.has_header:
            found |= {"header_row": form.header_row}
            reasons["header_row"] = Finding(code=f"header_row.{form.header_reason}")
    return found


def _of_encoding(found: FoundEncoding) -> Finding:
    params: dict[str, str | int] = {}
    code = f"encoding.{found.reason}"
    if found.name:
        params["name"] = found.name
    if found.num_damaged_lines:
        params |= {"count": found.num_damaged_lines, "line": found.first_damaged_line or 1}
        code += "" if found.reason == "damaged" else "_damaged"
    return Finding(code=code, params=params)


def _of_workbook(data: SourceData) -> dict[str, Any]:
    outline = workbook_outline(data.path, data.reading)
    reasons = {}
    if outline.sheets:
        code = "only_one" if outline.read else "ask"
        reasons["sheets"] = Finding(code=f"sheets.{'chosen' if data.reading.sheets else code}")
    if outline.header_row is not None:
        code = "found" if data.reading.header_row is None else "chosen"
        reasons["header_row"] = Finding(code=f"header_row.{code}")
    return {
        "sheets": tuple(
            PreviewedSheet(
                name=storable(sheet.name),
                is_visible=sheet.is_visible,
                is_read=sheet in outline.read,
            )
            for sheet in outline.sheets
        ),
        "header_row": outline.header_row,
        "reasons": reasons,
        "notes": noted(outline.notes),
    }
