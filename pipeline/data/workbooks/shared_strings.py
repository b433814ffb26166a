"""The texts of a workbook that its cells name by number."""

import re
import tempfile
import zipfile
from array import array
from collections.abc import Generator, Iterator, Mapping
from typing import IO

from pipeline.data.workbooks.parts import (
    MAX_DEPTH,
    DamagedPartError,
    elements,
    fed,
    new_parser,
)

MAX_STRINGS = 3_000_000
MAX_STRING_CHARS = 16 << 20
MEMORY_BYTES = 32 << 20
"""Texts beyond this stand in a temporary file, so that memory does not grow with them."""
_BYTES_A_STRING = 80
_BYTES_A_CHARACTER = 2
_ELEMENTS = elements("si", "t", "rPh")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def unescaped(text: str) -> str:
    """Characters that XML cannot hold stand as `_x000D_`; the underscore itself as `_x005F_`."""
    if "_x" not in text:
        return text
    found = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    # Two escaped halves are one character; half of one stays and is an error of its row.
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class SharedStrings:
    """Texts by number, read as far as they are asked for.

    The first ones stay in memory, the others stand in a file without a name.

    Args:
        texts: all of them, in order; they are read once.
    """

    def __init__(self, texts: Generator[str, None, None]) -> None:
        self._source = texts
        self._texts: list[str] = []
        self._free = MEMORY_BYTES
        self._file: IO[bytes] | None = None
        self._ends = array("Q", [0])

    def __getitem__(self, number: int) -> str:
        """The text.

        Raises:
            DamagedPartError, UnsafePartError: there is none of this number, or see `parts.fed`.
        """
        if 0 <= number < len(self._texts):
            return self._texts[number]
        if number < 0 or number >= MAX_STRINGS:
            raise DamagedPartError
        text: str | None = None
        while number >= len(self._texts) + len(self._ends) - 1:
            text = next(self._source, None)
            if text is None:
                raise DamagedPartError
            self._append(text)
        if text is not None:
            return text  # the one asked for is the last one read
        if self._file is None or number < len(self._texts):
            return self._texts[number]
        index = number - len(self._texts)
        self._file.seek(self._ends[index])
        content = self._file.read(self._ends[index + 1] - self._ends[index])
        return content.decode("utf-8", "surrogatepass")

    def _append(self, text: str) -> None:
        cost = _BYTES_A_STRING + _BYTES_A_CHARACTER * len(text)
        if self._file is None and cost <= self._free:
            self._free -= cost
            self._texts.append(text)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the workbook
        content = text.encode("utf-8", "surrogatepass")
        self._file.seek(self._ends[-1])
        self._file.write(content)
        self._ends.append(self._ends[-1] + len(content))

    def close(self) -> None:
        self._source.close()
        if self._file is not None:
            self._file.close()


def read_shared_strings(archive: zipfile.ZipFile, name: str | None) -> SharedStrings:
    """The texts of the part; none where the workbook has no such part.

    Runs of rich text are one text; readings for pronunciation are not part of it.
    """
    return SharedStrings(_part_texts(archive, name))


def _part_texts(archive: zipfile.ZipFile, name: str | None) -> Generator[str, None, None]:
    if name is not None:
        with archive.open(name) as file:
            yield from _texts(file)


def _texts(file: IO[bytes]) -> Iterator[str]:
    parser = new_parser()
    pieces: list[str] = []
    found: list[str] = []
    is_reading = False
    depth = 0

    def start(name: str, _attributes: Mapping[str, str]) -> None:
        nonlocal is_reading, depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DamagedPartError
        element = _ELEMENTS.get(name)
        if element == "t" and not is_reading:
            parser.CharacterDataHandler = pieces.append
        elif element == "rPh":
            is_reading = True

    def end(name: str) -> None:
        nonlocal is_reading, depth
        depth -= 1
        element = _ELEMENTS.get(name)
        if element == "t":
            parser.CharacterDataHandler = None
        elif element == "si":
            found.append(unescaped("".join(pieces)))
            pieces.clear()
        elif element == "rPh":
            is_reading = False

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    for _ in fed(file, parser):
        yield from found
        found.clear()
        if sum(map(len, pieces)) > MAX_STRING_CHARS:
            raise DamagedPartError
