"""JSON of a foreign model, read so that every parser understands the same by it.

Two parsers may keep different ones of two equal names, read `NaN` or refuse it, or guess another
encoding: what was inspected would then not be what is loaded. Size, depth and the number of values
are bounded before anything is built, because a list of empty lists takes thirty times its text.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from pipeline.errors import ModelError

MAX_JSON_BYTES = 64 * 2**20
MAX_JSON_DEPTH = 32
MAX_VALUES = 2_500_000
"""The tokenizer of Gemma 3, the largest one known, has 1.9 million."""
MAX_CONTAINERS = 800_000


def read_strict_json(path: Path, content: bytes, *, max_values: int = MAX_VALUES) -> object:
    """The value that `content`, read from `path`, spells in every parser alike.

    Raises:
        ModelError: `model.unsupported` for more than is read; `model.corrupt_file` when it is not
            JSON in UTF-8, repeats a name, or holds a number or character no parser agrees on;
            `model.unsafe_file` for nesting that only serves to break parsers.
    """
    containers = content.count(b"[") + content.count(b"{")
    for label, found, limit in (
        ("bytes", len(content), MAX_JSON_BYTES),
        ("values", content.count(b",") + containers, max_values),
        ("lists and objects", containers, min(MAX_CONTAINERS, max_values)),
    ):
        if found > limit:
            raise ModelError(
                "model.unsupported",
                f"{path} holds {found} {label} of JSON; at most {limit} are read. Use the file "
                "that was saved with the model.",
            )
    try:
        text = content.decode("utf-8")
        # A lone surrogate can only be written as an escape; it has no UTF-8, so it cannot be saved.
        document = json.loads(
            text, object_pairs_hook=_no_repeats, parse_constant=_no_constant, parse_float=_finite
        )
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as exc:
        raise ModelError(
            "model.corrupt_file", f"{path} is not JSON ({exc}). Copy it again from its source."
        ) from exc
    _check_depth(path, document)
    return document


def write_json(document: object) -> bytes:
    """`document` as one of our own files: UTF-8, in the order it was read in."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        ((repeated, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {repeated!r:.80} occurs twice in one object")
    return names


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits:.80} is larger than any number a program can hold")
    return value


def _check_depth(path: Path, document: object) -> None:
    level: list[object] = [document]
    for _ in range(MAX_JSON_DEPTH + 1):
        # Level by level, and only what can hold more: a vocabulary has a million plain values.
        level = [item for value in level for item in _held_by(value) if item]
        if not level:
            return
    raise _nests_too_deep(path)


def _held_by(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict | list))


def _nests_too_deep(path: Path) -> ModelError:
    return ModelError(
        "model.unsafe_file",
        f"{path} nests deeper than {MAX_JSON_DEPTH} levels. Use the original file.",
    )
