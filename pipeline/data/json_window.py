"""The part of a JSON file that is being parsed."""

import codecs
import re
from pathlib import Path

from pipeline.data.encodings import Encoding, text_codec

_READ_CHARS = 1 << 16
_WHITESPACE = re.compile(r"[ \t\n\r]*")


class JsonWindow:
    """A stretch of the file's text; grows on demand, forgets what was read."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._file = path.open("rb")
        self._decoder = codecs.getincrementaldecoder(text_codec(path, encoding))("strict")
        self.text = ""
        self.position = 0
        self.is_complete = False
        self._line = 1
        self._line_start = 0
        """Where the current line starts in `text`; negative once its beginning was forgotten."""
        self._is_at_start = True

    def grow(self) -> None:
        """At least twice as much unread text is held, or the file is at its end."""
        self._forget()
        chunk = self._file.read(max(_READ_CHARS, len(self.text)))
        self.is_complete = not chunk
        self.text += self._decoder.decode(chunk, final=self.is_complete)
        if self._is_at_start:
            self.text = self.text.removeprefix("\ufeff")
            self._is_at_start = False

    def _forget(self) -> None:
        self._line, column = self.place(self.position)
        self._line_start = 1 - column
        self.text = self.text[self.position :]
        self.position = 0

    def place(self, position: int) -> tuple[int, int]:
        """Line and column, from 1, of a position in `text`."""
        newlines = self.text.count("\n", 0, position)
        start = self.text.rfind("\n", 0, position) + 1 if newlines else self._line_start
        return self._line + newlines, position - start + 1

    def next_character(self) -> str:
        """The next character that is not white space, not consumed; empty at the end."""
        while True:
            match = _WHITESPACE.match(self.text, self.position)
            self.position = match.end() if match else self.position
            if self.position < len(self.text) or self.is_complete:
                return self.text[self.position : self.position + 1]
            self.grow()

    def close(self) -> None:
        self._file.close()
