"""What a workbook holds: its sheets and the parts they stand in."""

import posixpath
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.data.workbooks.parts import (
    RELATIONSHIP_NAMESPACES,
    DamagedPartError,
    elements,
    read_elements,
)

MAX_SHEETS = 1_000
MAX_RELATIONSHIPS = 10_000
WORKBOOK_PART = "xl/workbook.xml"
_RELATIONSHIPS_PART = "xl/_rels/workbook.xml.rels"
_ELEMENTS = elements("workbookPr", "sheet")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A worksheet."""

    name: str
    is_visible: bool
    part: str
    """Its name in the archive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What the workbook part and its relationships say."""

    sheets: tuple[Sheet, ...]
    """Worksheets in the order of their tabs; charts and dialogs are none."""
    is_1904: bool
    """Dates are counted from 1904, as old Macintosh programs did."""
    strings_part: str | None
    styles_part: str | None


class _Relationship(NamedTuple):
    kind: str
    """The last word of its type."""
    part: str


def read_contents(archive: zipfile.ZipFile) -> Contents:
    """What the workbook holds.

    Raises:
        DamagedPartError, UnsafePartError: see `parts.fed`; or a part that is named is missing, or
            there are more than 1,000 sheets.
    """
    relationships = _relationships(archive)
    sheets: list[Sheet] = []
    is_1904 = False

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal is_1904
        element = _ELEMENTS.get(name)
        if element == "workbookPr":
            is_1904 = attributes.get("date1904") in {"1", "true", "on"}
        elif element == "sheet":
            identifiers = [f"{namespace} id" for namespace in RELATIONSHIP_NAMESPACES]
            identifier = next((attributes[key] for key in identifiers if key in attributes), "")
            found = relationships.get(identifier)
            if found is None or len(sheets) == MAX_SHEETS:
                raise DamagedPartError
            if found.kind == "worksheet":
                is_visible = attributes.get("state", "visible") == "visible"
                sheets.append(Sheet(attributes.get("name", ""), is_visible, found.part))

    with archive.open(WORKBOOK_PART) as file:
        read_elements(file, start)
    parts = {found.kind: found.part for found in relationships.values()}
    names = frozenset(archive.namelist())
    if any(sheet.part not in names for sheet in sheets):
        raise DamagedPartError
    strings, styles = (parts.get(kind) for kind in ("sharedStrings", "styles"))
    return Contents(
        sheets=tuple(sheets),
        is_1904=is_1904,
        strings_part=strings if strings in names else None,
        styles_part=styles if styles in names else None,
    )


def _relationships(archive: zipfile.ZipFile) -> Mapping[str, _Relationship]:
    found: dict[str, _Relationship] = {}

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if name.endswith(" Relationship") and attributes.get("TargetMode") != "External":
            kind = attributes.get("Type", "").rpartition("/")[2]
            # Relative to the folder of the workbook part, or from the root.
            target = posixpath.normpath(posixpath.join("/xl", attributes.get("Target", "")))
            found[attributes.get("Id", "")] = _Relationship(kind, target.lstrip("/"))
            if len(found) > MAX_RELATIONSHIPS:
                raise DamagedPartError

    if _RELATIONSHIPS_PART in archive.namelist():
        with archive.open(_RELATIONSHIPS_PART) as file:
            read_elements(file, start)
    return found
