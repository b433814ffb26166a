"""Text from outside, as JSON, files and every database can hold it.

A traceback, a file name, a log line and a model's answer may hold a NUL, which PostgreSQL stores in
no text and in no JSON, or half of a surrogate pair, which has no UTF-8. Whoever takes such text in
passes it through here once; what comes out can be stored, sent and shown, and reads the same.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

MAX_TEXT_CHARS = 16_000
REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# An escape of either; also one of a whole pair or behind a backslash, which is looked at properly.
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])|\x00")


def storable_text(text: str, *, max_chars: int | None = MAX_TEXT_CHARS) -> str:
    """`text` with U+FFFD for what cannot be stored, the middle left out of what is too long.

    Args:
        text: anything; text that can be stored comes back unchanged.
        max_chars: greatest length of the result; None for any.
    """
    text = _UNSTORABLE.sub(REPLACEMENT, text)
    if max_chars is None or len(text) <= max_chars:
        return text
    gap = f"\n[... of {len(text)} characters the middle is left out ...]\n"
    if max_chars < 4 * len(gap):
        return text[: max_chars - 1] + "\u2026"
    head = (max_chars - len(gap)) // 2
    return text[:head] + gap + text[len(text) - (max_chars - len(gap) - head) :]


def storable_value(value: JsonValue) -> JsonValue:
    """A JSON value whose texts can be stored; null for numbers that JSON does not have."""
    if isinstance(value, str):
        return storable_text(value, max_chars=None)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {
            storable_text(key, max_chars=None): storable_value(child)
            for key, child in value.items()
        }
    if isinstance(value, list):
        return [storable_value(child) for child in value]
    return value


def storable_json(document: bytes) -> bytes:
    """The JSON document with texts that can be stored; what is no JSON stays what it is."""
    text = document.decode(errors="replace")
    if _SUSPECT_ESCAPE.search(text):
        try:
            text = json.dumps(storable_value(json.loads(text)), ensure_ascii=False)
        except (ValueError, RecursionError):
            return document
    return text.encode()


def unstorable_texts(value: object, location: str = "") -> Iterator[str]:
    """Dotted location of each text, in a JSON value, that holds a NUL or half a surrogate pair.

    What a person asks for is refused instead of changed: it would be another thing.
    """
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield location or "(whole document)"
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from unstorable_texts(key, location)
            yield from unstorable_texts(child, f"{location}.{key}" if location else str(key))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from unstorable_texts(child, f"{location}.{index}" if location else str(index))
