"""A row of a data set version as texts that people read, field by field."""

import json
from collections.abc import Mapping
from typing import Any

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def row_texts(row: Mapping[str, Any]) -> dict[str, str]:
    """What a row of `rows.parquet` holds: its fields, then `meta.<key>` for each key of its meta.

    Turns and choices are one a line, right choices are their letters. Fields without content are
    left out.
    """
    texts: dict[str, str] = {}
    for name, value in row.items():
        if name == "meta":
            continue
        if name == "messages":
            texts[name] = "\n".join(map(_turn, value))
        elif name == "history" and value:
            texts[name] = "\n".join(text for exchange in value for text in exchange)
        elif name == "choices":
            lines = zip(LETTERS, value, strict=False)
            texts[name] = "\n".join(f"{letter}. {choice}" for letter, choice in lines)
        elif name == "answer":
            texts[name] = "".join(map(_letter, (value, *(row.get("other_answers") or ()))))
        elif name != "other_answers" and value not in (None, "", [], ()):
            texts[name] = _text(value)
    meta = row["meta"]
    for key, value in (json.loads(meta) if isinstance(meta, str) else meta).items():
        texts[f"meta.{key}"] = _text(value)
    return texts


def _turn(turn: Mapping[str, Any]) -> str:
    """A turn that is not trained on says so, as its data file does."""
    weight = turn.get("weight")
    role = turn["role"] if weight is None else f"{turn['role']} (weight {weight})"
    return f"{role}: {turn['content']}"


def _letter(index: int) -> str:
    return LETTERS[index] if 0 <= index < len(LETTERS) else str(index)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
