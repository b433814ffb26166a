"""The number of values of a JSON text, without parsing it."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.row_errors import RowError
from pipeline.data import json_size
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading

VALUES = st.recursive(
    st.none() | st.integers() | st.text('a,[{"\\'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('b,[{"\\'), inner),
    max_leaves=30,
)


def num_values(value: object) -> int:
    """Containers, and values but the first of each."""
    if isinstance(value, dict | list):
        inside = list(value.values()) if isinstance(value, dict) else value
        return 1 + max(0, len(inside) - 1) + sum(map(num_values, inside))
    return 0


@settings(deadline=None)
@given(VALUES, st.booleans())
def test_it_counts_what_a_parser_finds(value: object, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_size, "SMALL_CHARS", 0)
        for limit in (max(1, num_values(value)), num_values(value) - 1):
            patch.setattr(json_size, "MAX_VALUES", limit)
            # Strings have a limit of their own, for texts that are no JSON.
            if text.count('"') <= 2 * limit:
                assert json_size.has_too_many_values(text) == (num_values(value) > limit)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_row_of_too_many_values_is_not_parsed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    good = '{"instruction": "Q", "output": "A"}'
    keys = ", ".join(f'"k{number}": 1' for number in range(json_size.MAX_VALUES + 5))
    rows = f"{{{keys}}}\n{good}" if name == "a.jsonl" else f"[{{{keys}}}]"
    path.write_text(rows)
    first, *_others = scan_rows(path, Reading(kind="domain_test"))
    assert isinstance(first, RowError)
    assert (first.code, first.line) == ("json.too_many_values", 1)


def test_a_long_text_is_one_value(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "[1, {2}], " * 200_000}))
    (document,) = scan_rows(path, Reading(kind="corpus"))
    assert not isinstance(document, RowError)
