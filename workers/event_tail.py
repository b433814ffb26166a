"""Reads a growing `events.jsonl` line by line."""

from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 1 << 20


class EventTail:
    """The lines of a file that another process appends to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def read_lines(self) -> list[bytes]:
        """Whole lines that appeared since the last call, at most about a mebibyte of them."""
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return []
        *lines, self._rest = (self._rest + self._file.read(MAX_BYTES)).split(b"\n")
        return lines

    def close(self) -> None:
        """The file is closed."""
        if self._file is not None:
            self._file.close()
