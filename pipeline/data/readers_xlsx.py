"""Rows of XLSX workbooks, checked before they are unpacked.

openpyxl reads worksheets and strings through defusedxml (it is installed) and streams them with
`read_only`; what it reads otherwise is checked here first. Formulas are never evaluated: the value
the spreadsheet program stored is used, and a formula without one is an error of its row.
"""

import datetime
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

import defusedxml.ElementTree
import openpyxl
from defusedxml.common import DefusedXmlException
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from pipeline.contracts.row_error_phrases import (
    DAMAGED_WORKBOOK,
    UNSAFE_ENCRYPTED,
    UNSAFE_ENTITIES,
    UNSAFE_OVERLAP,
    UNSAFE_SIZE,
)
from pipeline.contracts.row_errors import RowError
from pipeline.data.columns import resolve_columns, row_from_cells
from pipeline.data.readers_json import RawRow
from pipeline.data.reading import Reading
from pipeline.data.row_fields import InvalidRowError

MAX_UNPACKED_BYTES = 512 << 20
MAX_RATIO = 100
MIN_BYTES_FOR_RATIO = 1 << 20
"""Small parts of equal bytes compress to almost nothing without being an attack."""
MAX_MEMBERS = 10_000
MAX_SHEET_ROWS = 1_048_576
_SHEET_PARTS = ("xl/worksheets/", "xl/sharedStrings.xml")
# What openpyxl raises on parts that are not what the format says.
_DAMAGE = (
    InvalidFileException,
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    EOFError,
    NotImplementedError,
    OSError,
)


def inspect_archive(path: Path) -> RowError | None:
    """Why the archive must not be unpacked, or None.

    Sizes are the declared ones; `zipfile` never unpacks more of a member than it declares.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _inspect_members(path, archive)
    except DefusedXmlException:
        return _refused("file.xlsx_unsafe", UNSAFE_ENTITIES)
    except _DAMAGE:
        return _refused("file.xlsx_damaged", DAMAGED_WORKBOOK)


def _inspect_members(path: Path, archive: zipfile.ZipFile) -> RowError | None:
    members = archive.infolist()
    names = {member.filename for member in members}
    if "xl/workbook.xml" not in names:
        word = any(name.startswith("word/") for name in names)
        detected = "a Word document" if word else "a zip archive"
        return RowError(code="file.type", params={"detected": detected})
    if any(name.endswith("vbaProject.bin") for name in names):
        return RowError(code="file.xlsx_macro")
    if any(member.flag_bits & 1 for member in members):
        return _refused("file.xlsx_unsafe", UNSAFE_ENCRYPTED)
    unpacked = sum(member.file_size for member in members)
    ratio = unpacked / max(1, path.stat().st_size)
    if (
        len(members) > MAX_MEMBERS
        or unpacked > MAX_UNPACKED_BYTES
        or (unpacked > MIN_BYTES_FOR_RATIO and ratio > MAX_RATIO)
    ):
        return _refused("file.xlsx_unsafe", UNSAFE_SIZE)
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            return _refused("file.xlsx_unsafe", UNSAFE_OVERLAP)
        end = member.header_offset + member.compress_size
    for member in members:
        # openpyxl gives these to lxml where it is installed, so they are checked beforehand.
        if member.filename.endswith((".xml", ".rels")) and not member.filename.startswith(
            _SHEET_PARTS
        ):
            with archive.open(member) as part:
                for _ in defusedxml.ElementTree.iterparse(part, forbid_dtd=True):
                    pass
    return None


def _refused(code: str, reason: str) -> RowError:
    return RowError(code=code, params={"reason": reason})


def read_xlsx(path: Path, reading: Reading) -> Iterator[RawRow | RowError]:
    """One raw row or error for each row of the sheet that is not empty, in its order.

    Without a sheet named, the one visible sheet that has content. Hidden sheets are never read.
    Every cell becomes text: numbers as they are stored, dates in ISO 8601.
    """
    refusal = inspect_archive(path)
    if refusal is not None:
        yield refusal
        return
    try:
        yield from _read_workbook(path, reading)
    except _DAMAGE as exc:
        # openpyxl wraps what defusedxml raises in a ValueError of its own.
        if isinstance(exc, DefusedXmlException) or isinstance(exc.__cause__, DefusedXmlException):
            yield _refused("file.xlsx_unsafe", UNSAFE_ENTITIES)
        else:
            yield _refused("file.xlsx_damaged", DAMAGED_WORKBOOK)


def _read_workbook(path: Path, reading: Reading) -> Iterator[RawRow | RowError]:
    # Open files rather than a path: openpyxl judges a path by its suffix, and it leaves the file
    # open when the workbook is damaged.
    with path.open("rb") as values_file, path.open("rb") as formulas_file:
        values_book = _open(values_file, data_only=True)
        formulas_book = _open(formulas_file, data_only=False)
        name = _choose_sheet(values_book, reading.sheets, path.stat().st_size)
        if isinstance(name, RowError):
            yield name
            return
        yield from _read_sheet(values_book[name], formulas_book[name], reading)


def _open(file: BinaryIO, *, data_only: bool) -> openpyxl.Workbook:
    with warnings.catch_warnings():
        # Missing default styles and unsupported extensions do not matter for reading text.
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(file, read_only=True, data_only=data_only, keep_links=False)
    for worksheet in book.worksheets:
        # The declared dimension may be a lie of a billion empty cells.
        worksheet.reset_dimensions()
    return book


def _choose_sheet(book: openpyxl.Workbook, sheets: Sequence[str], size: int) -> str | RowError:
    visible = [ws for ws in book.worksheets if ws.sheet_state == "visible"]
    listed = ", ".join(ws.title for ws in visible)
    if sheets:
        sheet = sheets[0]
        if any(ws.title == sheet for ws in visible):
            return sheet
        return RowError(code="file.sheet_missing", params={"sheet": sheet, "sheets": listed})
    filled = [str(ws.title) for ws in visible if _has_content(ws)]
    if len(filled) > 1:
        return RowError(code="file.sheet_choice", params={"sheets": ", ".join(filled)})
    if not filled:
        return RowError(code="file.empty", params={"bytes": size})
    return filled[0]


def _has_content(worksheet: Any) -> bool:
    rows = worksheet.iter_rows(values_only=True)
    return any(
        any(value is not None for value in row)
        for _, row in zip(range(MAX_SHEET_ROWS), rows, strict=False)
    )


def iter_sheet_rows(path: Path, sheets: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Row number and cells, formulas as they were written, of each row that is not empty.

    For showing rows that `read_xlsx` rejected; it ends where that ends with an error of the file.
    """
    if inspect_archive(path) is not None:
        return
    try:
        yield from _written_rows(path, sheets)
    except _DAMAGE:
        return


def _written_rows(path: Path, sheets: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    with path.open("rb") as file:
        book = _open(file, data_only=False)
        name = _choose_sheet(book, sheets, path.stat().st_size)
        if isinstance(name, RowError):
            return
        for number, row in enumerate(book[name].iter_rows(values_only=True), start=1):
            if any(value is not None for value in row):
                yield number, [_text(value) for value in row]


def _read_sheet(
    values_sheet: Any,
    formulas_sheet: Any,
    reading: Reading,
) -> Iterator[RawRow | RowError]:
    fields: list[str] | None = None
    rows = zip(values_sheet.iter_rows(), formulas_sheet.iter_rows(), strict=True)
    for number, (values, formulas) in enumerate(rows, start=1):
        if number > MAX_SHEET_ROWS:
            yield RowError(code="file.too_many_rows", params={"limit": MAX_SHEET_ROWS})
            return
        if all(cell.value is None for cell in formulas):
            continue
        try:
            cells = _texts(values, formulas, number)
        except InvalidRowError as exc:
            yield exc.at_line(number)
            continue
        if fields is None:
            resolved = resolve_columns(cells, reading, number)
            if isinstance(resolved, RowError):
                yield resolved
                return
            fields = resolved
        elif any(cells[len(fields) :]):
            yield RowError(
                code="csv.columns",
                line=number,
                params={"found": len(cells), "expected": len(fields)},
            )
        else:
            padding = [""] * (len(fields) - len(cells))
            yield number, row_from_cells(fields, [*cells, *padding])


def _texts(values: Sequence[Any], formulas: Sequence[Any], row: int) -> list[str]:
    texts = []
    for index, (value, formula) in enumerate(zip(values, formulas, strict=True)):
        place = f"{get_column_letter(index + 1)}{row}"
        if formula.data_type == "f" and value.value is None:
            raise InvalidRowError("xlsx.formula", place, value=str(formula.value), cell=place)
        if value.data_type == "e":
            raise InvalidRowError("xlsx.error_value", place, value=str(value.value), cell=place)
        texts.append(_text(value.value))
    return texts


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
