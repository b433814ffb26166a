"""The part of a JSON file that is being parsed."""

import codecs
import re
from pathlib import Path

from pipeline.data.encodings import Encoding, text_codec

_READ_CHARS = 1 << 16
DAMAGE = re.compile("[\udc80-\udcff]")
_WHITESPACE = re.compile(r"[ \t\n\r]*")


class JsonWindow:
    """A stretch of the file's text; grows on demand, forgets what was read."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._file = path.open("rb")
        # Bytes that are no text become half characters, which no text has, so that they cost a row.
        errors = "strict" if encoding == "utf-16" else "surrogateescape"
        self.codec = text_codec(path, encoding)
        self._decoder = codecs.getincrementaldecoder(self.codec)(errors)
        self.is_damaged = False
        """Some of the text was not valid; `DAMAGE` finds the places."""
        self.text = ""
        self.position = 0
        self.is_complete = False
        self._line = 1
        self._line_start = 0
        """Where the current line starts in `text`; negative once its beginning was forgotten."""
        self._counted = 0
        """Position up to which `_line` and `_line_start` are right."""
        self._is_at_start = True

    def grow(self) -> None:
        """At least twice as much unread text is held, or the file is at its end."""
        self._forget()
        chunk = self._file.read(max(_READ_CHARS, len(self.text)))
        self.is_complete = not chunk
        text = self._decoder.decode(chunk, final=self.is_complete)
        # Encoding is faster than a search, and fails at half characters.
        try:
            text.encode()
        except UnicodeEncodeError:
            self.is_damaged = True
        self.text += text
        if self._is_at_start:
            self.text = self.text.removeprefix("\ufeff")
            self._is_at_start = False

    def _forget(self) -> None:
        self._line, column = self.place(self.position)
        self._line_start = 1 - column
        self.text = self.text[self.position :]
        self.position = self._counted = 0

    def place(self, position: int) -> tuple[int, int]:
        """Line and column, from 1, of a position in `text`, at `position` or behind it."""
        newlines = self.text.count("\n", self._counted, position)
        if newlines:
            self._line += newlines
            self._line_start = self.text.rfind("\n", self._counted, position) + 1
        self._counted = position
        return self._line, position - self._line_start + 1

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
