"""Reads a growing `events.jsonl` line by line."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.contracts.events import MAX_LINE_BYTES

logger = logging.getLogger(__name__)

MAX_BYTES = 1 << 18
"""About 1,200 events: storing them is one transaction, which other writers of SQLite wait for, and
the lease is renewed between two of them."""


class EventTail:
    """The lines of a file that another process appends to.

    A line longer than `MAX_LINE_BYTES` is skipped and logged; those behind it are read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._is_skipping = False
        self.is_behind = False
        """The last read ended before the end of the file."""

    def read_lines(self) -> list[bytes]:
        """Whole lines that appeared since the last call, at most `MAX_BYTES` of them and a line."""
        data = self._read()
        self.is_behind = len(data) == MAX_BYTES
        *lines, rest = (self._rest + data).split(b"\n")
        if self._is_skipping and lines:
            self._is_skipping = False
            del lines[0]  # the end of the line whose beginning was skipped
        self._rest = b"" if self._is_skipping else rest
        if len(self._rest) > MAX_LINE_BYTES:
            self._is_skipping, self._rest = True, b""
            self._say_skipped()
        kept = [line for line in lines if len(line) <= MAX_LINE_BYTES]
        if len(kept) < len(lines):
            self._say_skipped()
        return kept

    def remaining(self) -> Iterator[list[bytes]]:
        """All that is in the file now, in parts; whoever still appends to it is not waited for."""
        yield self.read_lines()
        if self._file is not None:
            end = os.fstat(self._file.fileno()).st_size
            while self.is_behind and self._file.tell() < end:
                yield self.read_lines()

    def close(self) -> None:
        """The file is closed."""
        if self._file is not None:
            self._file.close()

    def _read(self) -> bytes:
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return b""
        return self._file.read(MAX_BYTES)

    def _say_skipped(self) -> None:
        logger.warning("%s: a line of more than %d bytes is skipped", self._path, MAX_LINE_BYTES)
