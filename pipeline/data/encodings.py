"""Which encoding a text file is in, decided from all of its bytes and never by guessing letters.

Order: byte order mark, strict UTF-8, strict GB18030. Text of other encodings (Big5, Latin-1) can be
valid GB18030 by accident, so a person confirms what was detected.
"""

import codecs
from pathlib import Path
from typing import Literal

Encoding = Literal["utf-8", "gb18030", "big5", "shift_jis", "utf-16"]

UTF8_BOM = codecs.BOM_UTF8
UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK_BYTES = 1 << 20


def detect_encoding(path: Path) -> Encoding:
    """The encoding to read the file with.

    A file that is neither valid UTF-8 nor valid GB18030 is reported as UTF-8: it is then read with
    one error for each damaged row.
    """
    if decodes_as(path, "utf-8"):
        return "utf-8"
    return "gb18030" if decodes_as(path, "gb18030") else "utf-8"


def decodes_as(path: Path, encoding: Encoding) -> bool:
    """Every byte of the file is valid in `encoding`; memory does not depend on its size."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
