"""A workbook of one sheet of texts, written as it is sent: nothing is held but one row.

Every cell is an inline text in the number format Text, so that no program takes it for a formula, a
number or a date. Source: ECMA-376 part 1, 18.3 (worksheets) and 22.9.2.19 (`_xHHHH_`).
"""

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from io import RawIOBase
from xml.sax.saxutils import escape

MAX_ROWS = 1_048_576
MAX_CELL_CHARS = 32_767
"""UTF-16 units, as spreadsheet programs count."""
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
    f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
    f'PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/><Override '
    f'PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/><Override '
    f'PartName="/xl/styles.xml" ContentType="{_TYPES}.styles+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship '
    f'Id="rId1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/><Relationship '
    f'Id="rId2" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets><sheet '
    'name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font><sz val="11"/><name '
    'val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/>'
    '<right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" '
    'fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="2"><xf numFmtId="0" '
    'fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="49" fontId="0" fillId="0" '
    'borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs><cellStyles count="1"><cellStyle '
    'name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}
# What XML cannot hold or would change, and what would be read as such an escape.
_TO_ESCAPE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def num_units(text: str) -> int:
    """Characters as a spreadsheet program counts them."""
    return len(text) + sum(character > "\uffff" for character in text)


def stream_workbook(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """The bytes of an XLSX file with these rows, the header among them."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, _HEAD + content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            for number, cells in enumerate(rows, start=1):
                sheet.write(_row(number, cells).encode())
                yield from sink.taken()
            sheet.write(b"</sheetData></worksheet>")
    yield from sink.taken()


def _row(number: int, cells: Sequence[str]) -> str:
    written = "".join(
        '<c t="inlineStr" s="1"><is><t xml:space="preserve">'
        f"{escape(_TO_ESCAPE.sub(_escaped, text))}</t></is></c>"
        if text
        else "<c/>"
        for text in cells
    )
    return f'<row r="{number}">{written}</row>'


def _escaped(match: re.Match[str]) -> str:
    return f"_x{ord(match.group()):04X}_"


class _Sink(RawIOBase):
    """Where `zipfile` writes to; it cannot go back, so sizes follow each member."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, content: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._chunks.append(bytes(content))
        return len(content)

    def taken(self) -> Iterator[bytes]:
        """What was written since the last call."""
        chunks, self._chunks = self._chunks, []
        yield from chunks
