"""Canonical JSON and the digest that identifies a spec.

Canonical: UTF-8, keys sorted, no spaces, defaults written out. Two specs with the same digest ask
for the same thing, whatever order or defaults their authors used.
"""

import hashlib
import json

from pydantic import BaseModel, JsonValue


def canonical_json(value: BaseModel) -> bytes:
    """The one byte string that stands for a contract."""
    return canonical_bytes(value.model_dump(mode="json"))


def canonical_bytes(value: JsonValue) -> bytes:
    """The one byte string that stands for a JSON value."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(value: BaseModel) -> str:
    """SHA-256 of the canonical JSON, lower-case hexadecimal."""
    return bytes_digest(canonical_json(value))


def bytes_digest(content: bytes) -> str:
    """SHA-256 of some bytes, lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()
