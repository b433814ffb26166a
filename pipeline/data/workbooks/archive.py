"""A workbook's archive, checked before it is unpacked."""

import zipfile
from pathlib import Path

from pipeline.contracts.row_error_phrases import (
    ARCHIVE_METHOD,
    DAMAGED_WORKBOOK,
    UNSAFE_ENCRYPTED,
    UNSAFE_ENTITIES,
    UNSAFE_OVERLAP,
    UNSAFE_SIZE,
)
from pipeline.contracts.row_errors import RowError
from pipeline.data.workbooks.parts import DAMAGE, UnsafePartError, check_prolog

MAX_UNPACKED_BYTES = 512 << 20
MAX_RATIO = 100
MIN_BYTES_FOR_RATIO = 1 << 20
"""Small parts of equal bytes compress to almost nothing without being an attack."""
MAX_MEMBERS = 10_000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def inspect_archive(path: Path) -> RowError | None:
    """Why the archive must not be unpacked, or None.

    Sizes are the declared ones; `zipfile` never unpacks more of a member than it declares.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _inspect_members(path, archive)
    except UnsafePartError:
        return unsafe_workbook(UNSAFE_ENTITIES)
    except (*DAMAGE, ValueError):
        return damaged_workbook()


def unsafe_workbook(reason: str) -> RowError:
    return RowError(code="file.xlsx_unsafe", params={"reason": reason})


def damaged_workbook() -> RowError:
    return RowError(code="file.xlsx_damaged", params={"reason": DAMAGED_WORKBOOK})


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
        return unsafe_workbook(UNSAFE_ENCRYPTED)
    if any(member.compress_type not in _METHODS for member in members):
        return unsafe_workbook(ARCHIVE_METHOD)
    unpacked = sum(member.file_size for member in members)
    ratio = unpacked / max(1, path.stat().st_size)
    if (
        len(members) > MAX_MEMBERS
        or unpacked > MAX_UNPACKED_BYTES
        or (unpacked > MIN_BYTES_FOR_RATIO and ratio > MAX_RATIO)
    ):
        return unsafe_workbook(UNSAFE_SIZE)
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            return unsafe_workbook(UNSAFE_OVERLAP)
        end = member.header_offset + member.compress_size
    for member in members:
        if member.filename.endswith((".xml", ".rels")):
            with archive.open(member) as part:
                check_prolog(part)
    return None
