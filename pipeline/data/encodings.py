"""Which encoding a text file is in, and why; where that cannot be told, a person is asked.

Order: byte order mark, strict UTF-8, then whichever of the known encodings the text speaks for
(`text_evidence`): UTF-8 with damaged places and GB18030 are read, Big5, Shift-JIS and others are
only named, because text of one can be valid in another by accident. All bytes are judged for
validity, the first 64 KiB of lines that are not ASCII for plausibility; the same file always gives
the same answer.
"""

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pipeline.contracts.import_specs import EncodingChoice
from pipeline.contracts.row_errors import RowError
from pipeline.data.text_evidence import CODECS, MAX_SAMPLE_BYTES, evidence_for

Encoding = Literal["utf-8", "gb18030", "big5", "shift_jis", "utf-16"]
EncodingReason = Literal["chosen", "bom", "valid", "damaged", "plausible", "probably", "unknown"]
"""A person said it; byte order mark; valid as a whole; valid but for few lines; not UTF-8, and
text of this encoding; text of one that is read only when a person says so; neither."""

UTF8_BOM = codecs.BOM_UTF8
UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF16_CODECS = ("utf-16-le", "utf-16-be")
GB18030_BOM = "\ufeff".encode("gb18030")
_CHUNK_BYTES = 1 << 20
_MIN_EVIDENCE = 3.0
"""Of the best encoding alone, and over the next best: about two common characters."""
_MIN_EVIDENCE_OF_TERMS = -1.3
"""Of each character, where the lead over the next best is twice that."""
_MAX_DAMAGED, _MAX_DAMAGED_OF_ALL = 0.5, 1 / 3
"""Share of damaged lines: of those that are not ASCII, for an encoding there is evidence for; of
all lines, for UTF-8 where there is evidence for none."""
_UNASKED: Mapping[str, Encoding] = MappingProxyType({"utf-8": "utf-8", "gb18030": "gb18030"})
_NAMED = MappingProxyType(
    {"cp950": "Big5", "cp932": "Shift-JIS", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
)
"""Codec -> what people call it, of those whose text is read when a person says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundEncoding:
    """What was found out about the encoding of a file."""

    encoding: Encoding | None
    """None asks a person: nothing is read."""
    reason: EncodingReason
    name: str = ""
    """What the text probably is, for people, where nothing is read."""
    num_damaged_lines: int = 0
    first_damaged_line: int | None = None

    @property
    def refusal(self) -> RowError:
        """Why a file without an encoding is not read unless a person says more."""
        if self.reason == "chosen":
            return RowError(code="file.encoding_utf16")
        if self.name:
            return RowError(code="file.encoding_probably", params={"encoding": self.name})
        return RowError(code="file.encoding_unknown")


def find_encoding(path: Path, choice: EncodingChoice = "auto") -> FoundEncoding:
    """The encoding to read the file with; memory does not depend on its size."""
    with path.open("rb") as file:
        head = file.read(MAX_SAMPLE_BYTES)
    marked = _marked_encoding(head)
    if choice != "auto":
        is_other = marked == "utf-16" and choice != "utf-16"
        return FoundEncoding(encoding=None if is_other else choice, reason="chosen")
    if marked is not None:
        return _with_damage(path, marked, "bom")
    if b"\0" in head and any(unmarked_utf16(head, codec) for codec in _UTF16_CODECS):
        return FoundEncoding(encoding=None, reason="probably", name="UTF-16")
    if _decodes_as(path, "utf-8") and not _is_gbk_by_accident(path, head):
        return FoundEncoding(encoding="utf-8", reason="valid")
    return _most_plausible(path, head)


def text_codec(path: Path, encoding: Encoding) -> str:
    """The codec that reads the file as `encoding`: byte order, and the characters vendors added."""
    if encoding == "utf-16":
        with path.open("rb") as file:
            head = file.read(MAX_SAMPLE_BYTES)
        if head.startswith(UTF16_BOMS):
            return "utf-16-le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
        return max(_UTF16_CODECS, key=lambda codec: evidence_for(head, codec))
    return {"big5": "cp950", "shift_jis": "cp932"}.get(encoding, encoding)


def unmarked_utf16(head: bytes, codec: str) -> bool:
    """The beginning of a file is UTF-16 in the byte order of `codec` without saying so."""
    return _best_codec(head, head) == (codec, True)


def without_mark(content: bytes) -> bytes:
    """The beginning of a file without its byte order mark."""
    for mark in (UTF8_BOM, GB18030_BOM, *UTF16_BOMS):
        content = content.removeprefix(mark)
    return content


def _marked_encoding(head: bytes) -> Encoding | None:
    if head.startswith(UTF8_BOM):
        return "utf-8"
    if head.startswith(GB18030_BOM):
        return "gb18030"
    return "utf-16" if head.startswith(UTF16_BOMS) else None


def _is_gbk_by_accident(path: Path, head: bytes) -> bool:
    """A short text of GBK pairs that all happen to be UTF-8 as well, of Hebrew and the like."""
    if path.stat().st_size > MAX_SAMPLE_BYTES or head.isascii():
        return False
    has_long_sequences = max(head.decode("utf-8")) >= "\u0800"
    return not has_long_sequences and evidence_for(head, "gb18030") >= _MIN_EVIDENCE


def _most_plausible(path: Path, head: bytes) -> FoundEncoding:
    codec, is_certain = _best_codec(_sample(path), head)
    if not is_certain or codec not in {*_UNASKED, *_NAMED}:
        # Where most lines are ASCII, the others are rejected one by one, whatever they are.
        return _with_damage(path, "utf-8", "plausible", of_all_lines=True)
    if codec in _UNASKED:
        return _with_damage(path, _UNASKED[codec], "plausible")
    return FoundEncoding(encoding=None, reason="probably", name=_NAMED[codec])


def _best_codec(sample: bytes, head: bytes) -> tuple[str, bool]:
    """The codec most evidence is for, and whether that is enough."""
    found = {
        codec: evidence_for(head if codec.startswith("utf-16") else sample, codec)
        for codec in CODECS
    }
    best, second = sorted(CODECS, key=lambda codec: -found[codec])[:2]
    lead = found[best] - found[second]
    if found[best] >= _MIN_EVIDENCE:
        return best, lead >= 2 * _MIN_EVIDENCE
    # Terms of chemistry, say, have few common characters, and all other readings are far worse.
    num_chars = sum(byte >= 0x80 for byte in sample) / 2
    return best, lead >= 2 * _MIN_EVIDENCE and found[best] >= _MIN_EVIDENCE_OF_TERMS * num_chars


def _with_damage(
    path: Path, encoding: Encoding, reason: EncodingReason, *, of_all_lines: bool = False
) -> FoundEncoding:
    """The encoding with the lines that are not valid in it, unless they are too many."""
    if encoding == "utf-16" or _decodes_as(path, encoding):
        return FoundEncoding(encoding=encoding, reason=reason)
    num_lines = num_damaged = 0
    first: int | None = None
    for number, line in _lines(path):
        num_lines += of_all_lines or not line.isascii()
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            num_damaged += 1
            first = first or number
    most = num_lines * _MAX_DAMAGED_OF_ALL if of_all_lines else max(1.0, num_lines * _MAX_DAMAGED)
    if num_damaged > most:
        return FoundEncoding(encoding=None, reason="unknown")
    return FoundEncoding(
        encoding=encoding,
        reason="damaged",
        num_damaged_lines=num_damaged,
        first_damaged_line=first,
    )


def _sample(path: Path) -> bytes:
    """The first lines that are not ASCII."""
    parts: list[bytes] = []
    num_bytes = 0
    for _number, line in _lines(path):
        if line.isascii():
            continue
        parts.append(line)
        num_bytes += len(line)
        if num_bytes >= MAX_SAMPLE_BYTES:
            break
    return b"".join(parts)[:MAX_SAMPLE_BYTES]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; very long ones in pieces."""
    number = 1
    with path.open("rb") as file:
        while line := file.readline(_CHUNK_BYTES):
            yield number, line
            number += line.endswith(b"\n")


def _decodes_as(path: Path, encoding: Encoding) -> bool:
    """Every byte of the file is valid in `encoding`."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
