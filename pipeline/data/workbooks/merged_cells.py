"""Merged cells: a person sees one text for all the rows that they span."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO, NamedTuple

from pipeline.data.workbooks.parts import DamagedPartError, elements, read_elements

MAX_MERGED = 200_000
_ELEMENTS = elements("mergeCell")
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})")
_SIGN = "mergeCell"
# The element as its bytes may be written; UTF-16 is what workbooks may use besides UTF-8.
_SIGNS = (_SIGN.encode(), _SIGN.encode("utf-16-le"), _SIGN.encode("utf-16-be"))
_CHUNK_BYTES = 1 << 20


class MergedRows(NamedTuple):
    """A merged cell of several rows."""

    first_row: int
    last_row: int
    column: int
    """From 0; the text belongs to the first of several columns."""


def read_merged_rows(archive: zipfile.ZipFile, part: str) -> list[MergedRows]:
    """The merged cells of a sheet that span rows, in the order of their first rows.

    They stand behind the rows, so the part is read twice; the first time only where it has any.

    Raises:
        DamagedPartError, UnsafePartError: see `parts.fed`; or there are more than 200,000.
    """
    with archive.open(part) as file:
        if not _has_merged(file):
            return []
    found: list[MergedRows] = []

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if name in _ELEMENTS:
            match = _REFERENCE.fullmatch(attributes.get("ref", ""))
            if match and match[2] != match[4]:
                found.append(MergedRows(int(match[2]), int(match[4]), column_index(match[1])))
            if len(found) > MAX_MERGED:
                raise DamagedPartError

    with archive.open(part) as file:
        read_elements(file, start)
    return sorted(found)


def _has_merged(file: IO[bytes]) -> bool:
    end = b""
    while chunk := file.read(_CHUNK_BYTES):
        searched = end + chunk
        if any(sign in searched for sign in _SIGNS):
            return True
        end = searched[-2 * len(_SIGN) :]
    return False


def column_index(letters: str) -> int:
    """Index from 0 of a column by its letters."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


class MergedFill:
    """Gives the rows below the first row of a merged cell its text, going down the sheet."""

    def __init__(self, merged: Sequence[MergedRows]) -> None:
        self._waiting = list(reversed(merged))
        self._open: dict[int, tuple[int, str]] = {}

    def fill(self, row: int, cells: dict[int, str]) -> int:
        """Put the texts of merged cells into the row's empty cells; how many there were."""
        if not self._open and not self._waiting:
            return 0
        num_filled = 0
        for column, (last_row, text) in list(self._open.items()):
            if row > last_row:
                del self._open[column]
            elif column not in cells and cells:
                cells[column] = text
                num_filled += 1
        while self._waiting and self._waiting[-1].first_row <= row:
            merged = self._waiting.pop()
            if merged.first_row == row and merged.column in cells:
                self._open[merged.column] = (merged.last_row, cells[merged.column])
        return num_filled
