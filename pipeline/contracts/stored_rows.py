"""A row of a data set version as texts that people read, field by field."""

import json
from collections.abc import Mapping
from typing import Any

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def row_texts(row: Mapping[str, Any]) -> dict[str, str]:
    """What a row of `rows.parquet` holds: its fields, then `meta.<key>` for each key of its meta.

    Turns and choices are one a line, the right choice is its letter. Fields without content are
    left out.
    """
    texts: dict[str, str] = {}
    for name, value in row.items():
        if name == "meta":
            continue
        if name == "messages":
            texts[name] = "\n".join(f"{turn['role']}: {turn['content']}" for turn in value)
        elif name == "choices":
            lines = zip(LETTERS, value, strict=False)
            texts[name] = "\n".join(f"{letter}. {choice}" for letter, choice in lines)
        elif name == "answer" and isinstance(value, int):
            texts[name] = LETTERS[value] if 0 <= value < len(LETTERS) else str(value)
        elif value not in (None, ""):
            texts[name] = _text(value)
    meta = row["meta"]
    for key, value in (json.loads(meta) if isinstance(meta, str) else meta).items():
        texts[f"meta.{key}"] = _text(value)
    return texts


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
