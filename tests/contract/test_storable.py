"""Text from outside: what can be stored stays as it is, what cannot is replaced, nothing raises."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.storable import storable_json, storable_text, storable_value

ANY_CHARACTER = st.characters(exclude_categories=())
HOSTILE = st.sampled_from(
    ["\x00", "\ud800", "\udfff", "\\u0000", "\\ud800", "\ufeff", "\u202e", "x"]
)
TEXT = st.lists(st.one_of(HOSTILE, ANY_CHARACTER), max_size=60).map("".join)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FIXED = settings(derandomize=True, deadline=None, max_examples=300, database=None)


def is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


@FIXED
@given(TEXT, st.integers(min_value=1, max_value=80), st.integers(min_value=1, max_value=400))
def test_any_text_becomes_storable(text: str, repeats: int, max_chars: int) -> None:
    stored = storable_text(text * repeats, max_chars=max_chars)
    assert is_storable(stored)
    assert len(stored) <= max_chars
    assert storable_text(stored, max_chars=max_chars) == stored
    assert storable_text(text, max_chars=None) == text or not is_storable(text)
    stored.encode()


def test_of_a_long_text_both_ends_stay() -> None:
    stored = storable_text("first" + "x" * 100_000 + "last", max_chars=4000)
    assert stored.startswith("first")
    assert stored.endswith("last")
    assert "100009 characters" in stored
    assert len(stored) == 4000


@pytest.mark.slow
@FIXED
@given(VALUE)
def test_any_document_becomes_storable(value: object) -> None:
    """An escaped backslash before `u0000` is six characters, not a NUL, and stays."""
    document = json.dumps(value)
    assert json.loads(storable_json(document.encode())) == storable_value(json.loads(document))
    unescaped = json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
    assert is_storable(json.dumps(json.loads(storable_json(unescaped)), ensure_ascii=False))


@pytest.mark.slow
@FIXED
@given(VALUE, st.floats())
def test_any_value_becomes_storable(value: object, number: float) -> None:
    stored = json.dumps(storable_value([value, number]), ensure_ascii=False, allow_nan=False)
    assert is_storable(stored)
    assert "\\u0000" not in stored.replace("\\\\", "")


@FIXED
@given(st.binary(max_size=200))
def test_what_is_no_document_does_not_raise(content: bytes) -> None:
    storable_json(content)
    storable_json(b'{"a": "\\u0000' + content)
