"""Number formats of a workbook's cells, by the style that a cell names."""

import zipfile
from collections.abc import Mapping

from pipeline.data.number_formats.builtin import BUILTIN_FORMATS
from pipeline.data.number_formats.display import NumberFormat, UnsupportedFormatError
from pipeline.data.workbooks.parts import DamagedPartError, elements, read_elements

MAX_STYLES = 65_536
MAX_CODE_CHARS = 1_000
_ELEMENTS = elements("numFmt", "cellXfs", "xf")


class CellStyle:
    """How cells of one style show what they hold."""

    def __init__(self, code: str | None, *, is_1904: bool) -> None:
        self.code = code or ""
        """Empty where the workbook names a format that it does not have."""
        self.format: NumberFormat | None = None
        """None for a code that is not understood."""
        if code is not None and len(code) <= MAX_CODE_CHARS:
            try:
                self.format = NumberFormat(code, is_1904=is_1904)
            except UnsupportedFormatError:
                self.format = None
        self.is_general = self.format is not None and self.format.is_general
        self.shown: dict[str, tuple[str, bool]] = {}
        """Numbers that were shown before, by how they are stored: see `cell_values`."""


def read_styles(
    archive: zipfile.ZipFile, name: str | None, *, is_1904: bool
) -> Mapping[str | None, CellStyle]:
    """Style by the number that a cell names it with, as it is written there; None names none.

    Raises:
        DamagedPartError, UnsafePartError: see `parts.fed`; or more than 65,536 styles.
    """
    codes: dict[str, str] = {}
    identifiers: list[str] = []
    if name is not None:
        _collect(archive, name, codes, identifiers)
    styles: dict[str, CellStyle] = {}
    found: dict[str | None, CellStyle] = {}
    for number, identifier in enumerate(identifiers or ["0"]):
        if identifier not in styles:
            styles[identifier] = CellStyle(_code(identifier, codes), is_1904=is_1904)
        found[str(number)] = styles[identifier]
    return {None: found["0"], **found}


def _code(identifier: str, codes: Mapping[str, str]) -> str | None:
    if identifier in codes:
        return codes[identifier]
    return BUILTIN_FORMATS.get(int(identifier)) if identifier.isdecimal() else None


def _collect(
    archive: zipfile.ZipFile, name: str, codes: dict[str, str], identifiers: list[str]
) -> None:
    is_cell_formats = False

    def start(element_name: str, attributes: Mapping[str, str]) -> None:
        nonlocal is_cell_formats
        element = _ELEMENTS.get(element_name)
        if element == "numFmt":
            codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
            if len(codes) > MAX_STYLES:
                raise DamagedPartError
        elif element == "cellXfs":
            is_cell_formats = True
        elif element == "xf" and is_cell_formats:
            identifiers.append(attributes.get("numFmtId", "0"))
            if len(identifiers) > MAX_STYLES:
                raise DamagedPartError

    def end(element_name: str) -> None:
        nonlocal is_cell_formats
        if _ELEMENTS.get(element_name) == "cellXfs":
            is_cell_formats = False

    with archive.open(name) as file:
        read_elements(file, start, end)
