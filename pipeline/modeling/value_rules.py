"""What a setting of a foreign model may hold: each rule says it in words and decides it.

Loaders fail on other values with whatever exception comes first, or divide by them much later.
"""

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import ModelError

MAX_COUNT = 2**31 - 1
MAX_TEXT = 500


class Rule(NamedTuple):
    """The values of one setting."""

    expected: str
    accepts: Callable[[object], bool]


def _is_number(value: object) -> bool:
    # Not isinstance: True is an int to Python and to nobody else.
    return type(value) is int or (type(value) is float and math.isfinite(value))


def whole(low: int, high: int = MAX_COUNT) -> Rule:
    """Whole numbers from `low` to `high`."""
    return Rule(
        f"a whole number from {low} to {high}", lambda v: type(v) is int and low <= v <= high
    )


def number(low: float, high: float) -> Rule:
    """Numbers from `low` to `high`."""
    return Rule(
        f"a number from {low:g} to {high:g}",
        lambda v: _is_number(v) and low <= v <= high,  # type: ignore[operator]
    )


def one_of(values: Collection[str]) -> Rule:
    """One of a few words."""
    listed = frozenset(values)
    return Rule(f"one of {', '.join(sorted(listed))}", lambda v: isinstance(v, str) and v in listed)


def list_of(rule: Rule, most: int) -> Rule:
    """At most `most` values of a rule."""
    return Rule(
        f"a list of at most {most}, each {rule.expected}",
        lambda v: isinstance(v, list) and len(v) <= most and all(map(rule.accepts, v)),
    )


def either(*rules: Rule) -> Rule:
    """What any of the rules accepts."""
    return Rule(
        " or ".join(rule.expected for rule in rules),
        lambda v: any(rule.accepts(v) for rule in rules),
    )


NULL = Rule("null", lambda v: v is None)
FLAG = Rule("true or false", lambda v: type(v) is bool)
COUNT = whole(1)
NATURAL = whole(0)
SHARE = number(0, 1)
POSITIVE = Rule("a number above 0", lambda v: _is_number(v) and 0 < v <= 1e30)  # type: ignore[operator]
NUMBER = number(-1e30, 1e30)
TEXT = Rule(
    f"a text of at most {MAX_TEXT} characters", lambda v: isinstance(v, str) and len(v) <= MAX_TEXT
)
TOKEN_ID = whole(-1)
TOKEN_IDS = either(TOKEN_ID, list_of(TOKEN_ID, 1_000), NULL)


def optional(rule: Rule) -> Rule:
    """Null is accepted too."""
    return either(rule, NULL)


def refusal(path: Path, key: str, value: object, expected: str) -> ModelError:
    """The setting `key` of `path` holds what no loader can use."""
    return ModelError(
        "model.unsupported",
        f"{path}: {key} is {value!r:.200}, not {expected}. Use the file that was saved with the "
        "model, or correct the value.",
    )


def keep_known(
    path: Path, document: Mapping[str, object], rules: Mapping[str, Rule], *, within: str = ""
) -> dict[str, object]:
    """The settings that `rules` name, in their order in the file; others are left out.

    Raises:
        ModelError: `model.unsupported` for a value its rule does not accept, naming file and key.
    """
    kept: dict[str, object] = {}
    for key, value in document.items():
        rule = rules.get(key)
        if rule is None:
            continue
        if not rule.accepts(value):
            raise refusal(path, within + key, value, rule.expected)
        kept[key] = value
    return kept
