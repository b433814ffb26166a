"""Ids for rows that have none: `line-<n>`, and never one that another row of the file has.

Several rows of one line, as a JSON list without line breaks has them, are `line-<n>`,
`line-<n>-2`, `line-<n>-3` and so on.

A row may have `line-7` as its own id, for instance in a file that was exported from a version and
to which new rows were added, and it may stand before or behind line 7. So the first time an id is
wanted, the file is searched for such names; a line whose name was found gets a number of more than
nine digits that no name in the file reaches.
"""

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.formats import FileFormat

_CHUNK_BYTES = 1 << 20
_OVERLAP_BYTES = 64
_NAME = re.compile(rb"(?<![\w-])line-([0-9]{1,15})(?:-[0-9]{1,15})?(?![\w.-])")
_BEGINNING = b"line-"
_LEAST_DIGITS = 9
_SHEETS = re.compile(r"xl/(sharedStrings|worksheets/[^/]+)\.xml", re.IGNORECASE)


def usual_name(line: int) -> str:
    """The id of a row that has none, where no other row has it."""
    return f"line-{line}"


class LineIds:
    """Names of the lines of one file."""

    def __init__(self, path: Path, *, file_format: FileFormat, encoding: str) -> None:
        self._path = path
        self._format = file_format
        self._is_wide = encoding.startswith("utf-16")
        self._line = 0
        self._num_on_line = 0

    def of(self, line: int) -> str:
        """The id of the next row without one, which begins on `line`."""
        self._num_on_line = self._num_on_line + 1 if line == self._line else 1
        self._line = line
        name = self._of_line(line)
        return name if self._num_on_line == 1 else f"{name}-{self._num_on_line}"

    def _of_line(self, line: int) -> str:
        numbers = self._written
        place = int(np.searchsorted(numbers, line))
        if place == len(numbers) or numbers[place] != line:
            return usual_name(line)
        digits = max(_LEAST_DIGITS, len(str(numbers[-1])))
        return usual_name(10**digits + line)

    @cached_property
    def _written(self) -> np.ndarray:
        """Numbers of the names that stand in the file, rising; int64 [N]."""
        numbers = np.fromiter(_numbers(self._blocks()), dtype=np.int64)
        return np.unique(numbers)

    def _blocks(self) -> Iterator[bytes]:
        """The file's content in pieces; those of one text one after another."""
        match self._format:
            case "zip":
                return
            case "xlsx":
                yield from _unpacked(self._path)
            case "parquet":
                yield from _id_column(self._path)
            case _:
                with self._path.open("rb") as file:
                    while block := file.read(_CHUNK_BYTES):
                        # Of UTF-16 the names are what is left without the zero bytes.
                        yield block.replace(b"\0", b"") if self._is_wide else block


def _numbers(blocks: Iterable[bytes]) -> Iterator[int]:
    held = b""
    for block in blocks:
        held += block
        # A name that touches the end may go on in the next piece.
        end = len(held) - _OVERLAP_BYTES
        if _BEGINNING in held:  # finding that alone is 20 times faster
            for match in _NAME.finditer(held):
                if match.start() < end:
                    yield int(match[1])
        held = held[max(end, 0) :]
    yield from (int(match[1]) for match in _NAME.finditer(held))


def _unpacked(path: Path) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in filter(_SHEETS.fullmatch, archive.namelist()):
                with archive.open(name) as part:
                    while block := part.read(_CHUNK_BYTES):
                        yield block
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, EOFError):
        return  # told by the reader of workbooks


def _id_column(path: Path) -> Iterator[bytes]:
    try:
        with pq.ParquetFile(path) as file:
            if "id" not in file.schema_arrow.names:
                return
            for batch in file.iter_batches(columns=["id"]):
                yield "\n".join(map(str, batch.column(0).to_pylist())).encode() + b"\n"
    except (pa.ArrowException, OSError, UnicodeError):
        return  # told by the reader of Parquet files
