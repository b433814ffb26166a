"""One turn of a conversation as a row writes it: who speaks, the text, and whatever else it has.

Turns are objects of `role` and `content` (OpenAI) or of `from` and `value` (ShareGPT). The text may
be a list of text parts. A weight of 0, or `loss` or `train` that is false (ms-swift, Axolotl), says
that an answer is not trained on. Every other field of a turn is kept beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.contracts.row_error_phrases import VALUE_TYPE_NAMES
from pipeline.data.records import Message
from pipeline.data.row_fields import InvalidRowError, text_field, wrong_type

TURN_FIELDS_KEY = "turn_fields"
"""Key of `meta` under which further fields of turns are kept, by the turn's index from 0."""
OTHER_ROLES = {"human": "user", "gpt": "assistant", "developer": "system"}
"""Names that ShareGPT and OpenAI have for roles."""
ROLES = ("system", "user", "assistant")
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})

_WEIGHT_FIELDS = ("weight", "loss", "train")


class Turn(NamedTuple):
    """A turn, and the fields it has besides those of a `Message`."""

    message: Message
    rest: dict[str, Any]


def read_turns(value: object, column: str) -> list[Turn]:
    """The turns of a list, in its order.

    Raises:
        InvalidRowError: the first thing that is wrong with one of them.
    """
    if not isinstance(value, list):
        raise wrong_type(column, value, VALUE_TYPE_NAMES[list])
    if not value:
        raise InvalidRowError("row.required_empty", column, field=column)
    return [_turn(item, f"{column}.{index}") for index, item in enumerate(value)]


def is_turn(value: object) -> bool:
    """The object is a turn, not a row: it says who speaks and what is said."""
    return isinstance(value, dict) and (
        ("role" in value and ("content" in value or "tool_calls" in value))
        or ("from" in value and "value" in value)
    )


def turn_meta(meta: Mapping[str, Any], turns: Sequence[Turn]) -> Mapping[str, Any]:
    """`meta` with the further fields of the turns; what it says of a turn itself goes before."""
    rest = {str(index): turn.rest for index, turn in enumerate(turns) if turn.rest}
    own = meta.get(TURN_FIELDS_KEY, {})
    if not rest or not isinstance(own, dict):
        return meta
    merged = {**own, **{index: {**fields, **own.get(index, {})} for index, fields in rest.items()}}
    return {**meta, TURN_FIELDS_KEY: merged}


def _turn(item: object, place: str) -> Turn:
    if not isinstance(item, dict):
        raise wrong_type(place, item, VALUE_TYPE_NAMES[dict])
    is_sharegpt = "from" in item or ("value" in item and "role" not in item)
    role_key, content_key = ("from", "value") if is_sharegpt else ("role", "content")
    role = text_field(item, role_key, required=True, column=f"{place}.{role_key}")
    role = OTHER_ROLES.get(role, role)
    if role not in ROLES:
        raise InvalidRowError(
            "row.enum",
            f"{place}.{role_key}",
            value=role,
            field=f"{place}.{role_key}",
            allowed=", ".join((*ROLES, *OTHER_ROLES)),
        )
    content = item.get(content_key)
    if isinstance(content, list):
        content = _joined_parts(content, f"{place}.{content_key}")
        item = {**item, content_key: content}
    content = text_field(item, content_key, required=True, column=f"{place}.{content_key}")
    weight, rest = 1, {}
    if len(item) > 2:
        rest = {
            name: field
            for name, field in item.items()
            if name not in {role_key, content_key, *_WEIGHT_FIELDS} and field is not None
        }
        weight = _weight(item, place)
    return Turn(Message(role=role, content=content, weight=weight), rest)  # type: ignore[arg-type]


def _joined_parts(parts: list[object], column: str) -> str:
    """The text parts one after another, nothing between them."""
    texts = []
    for index, part in enumerate(parts):
        place = f"{column}.{index}"
        if not isinstance(part, dict):
            raise wrong_type(place, part, VALUE_TYPE_NAMES[dict])
        if part.get("type") not in TEXT_PARTS or part.keys() != {"type", "text"}:
            raise InvalidRowError("row.content_part", place, value=part.get("type", ""))
        texts.append(text_field(part, "text", required=False, column=f"{place}.text"))
    return "".join(texts)


def _weight(item: Mapping[str, Any], place: str) -> int:
    for name in _WEIGHT_FIELDS:
        value = item.get(name)
        if value is None:
            continue
        if value not in (0, 1):  # 0.0, 1.0, false and true are equal to them
            raise InvalidRowError(
                "row.turn_weight", f"{place}.{name}", value=value, field=f"{place}.{name}"
            )
        if value == 0:
            return 0
    return 1
