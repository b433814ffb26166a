"""Conversations as other tools write them: Alpaca, ShareGPT, OpenAI messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.contracts.row_error_phrases import (
    CONVERSATION_FIELDS,
    EXCHANGE_TYPE,
    VALUE_TYPE_NAMES,
)
from pipeline.data.records import Conversation, DomainItem, Message
from pipeline.data.row_fields import InvalidRowError, common_fields, text_field, wrong_type

SHAREGPT_ROLES = {"human": "user", "gpt": "assistant"}
ROLES = ("system", "user", "assistant")

_MESSAGES_FIELDS = frozenset({"messages"})
_SHAREGPT_FIELDS = frozenset({"conversations", "system"})
_ALPACA_FIELDS = frozenset({"instruction", "input", "output", "system", "history"})


def conversation_record(row: Mapping[str, Any], line: int) -> Conversation:
    if "messages" in row:
        own_fields = _MESSAGES_FIELDS
        turns = _turns(row["messages"], "messages", "role", "content")
    elif "conversations" in row:
        own_fields = _SHAREGPT_FIELDS
        turns = _turns(row["conversations"], "conversations", "from", "value")
        turns = _system_turn(row) + turns
    elif "instruction" in row and "output" in row:
        own_fields = _ALPACA_FIELDS
        turns = _alpaca_turns(row)
    else:
        raise InvalidRowError(
            "row.layout",
            fields=", ".join(sorted(map(str, row))[:20]) or "(none)",
            expected=CONVERSATION_FIELDS,
        )
    _check_turn_order(turns)
    return Conversation(
        messages=tuple(turns),
        **common_fields(row, line, own_fields, "".join(turn.content for turn in turns)),
    )


def _turns(value: object, column: str, role_key: str, content_key: str) -> list[Message]:
    if not isinstance(value, list):
        raise wrong_type(column, value, VALUE_TYPE_NAMES[list])
    if not value:
        raise InvalidRowError("row.required_empty", column, field=column)
    turns = []
    for index, item in enumerate(value):
        place = f"{column}.{index}"
        if not isinstance(item, dict):
            raise wrong_type(place, item, VALUE_TYPE_NAMES[dict])
        role = text_field(item, role_key, required=True, column=f"{place}.{role_key}")
        role = SHAREGPT_ROLES.get(role, role)
        if role not in ROLES:
            raise InvalidRowError(
                "row.enum",
                f"{place}.{role_key}",
                value=role,
                field=f"{place}.{role_key}",
                allowed=", ".join((*ROLES, *SHAREGPT_ROLES)),
            )
        content = text_field(item, content_key, required=True, column=f"{place}.{content_key}")
        turns.append(Message(role=role, content=content))  # type: ignore[arg-type]
    return turns


def _system_turn(row: Mapping[str, Any]) -> list[Message]:
    system = text_field(row, "system", required=False)
    return [Message(role="system", content=system)] if system.strip() else []


def _alpaca_turns(row: Mapping[str, Any]) -> list[Message]:
    turns = _system_turn(row)
    history = row.get("history") or []
    if not isinstance(history, list):
        raise wrong_type("history", history, VALUE_TYPE_NAMES[list])
    for index, pair in enumerate(history):
        place = f"history.{index}"
        if not isinstance(pair, list) or len(pair) != 2:
            raise wrong_type(place, pair, EXCHANGE_TYPE)
        for role, text in zip(("user", "assistant"), pair, strict=True):
            content = text_field({"text": text}, "text", required=True, column=f"{place}.{role}")
            turns.append(Message(role=role, content=content))  # type: ignore[arg-type]
    item = DomainItem(
        id="",
        lang="",
        instruction=text_field(row, "instruction", required=True),
        input=text_field(row, "input", required=False),
        output=text_field(row, "output", required=True),
    )
    return [*turns, *item.to_messages()]


def _check_turn_order(turns: Sequence[Message]) -> None:
    start = 1 if turns[0].role == "system" else 0
    for index, turn in enumerate(turns[start:], start=start):
        expected = ("user", "assistant")[(index - start) % 2]
        if turn.role != expected:
            raise InvalidRowError(
                "row.turn_order", None, turn=index + 1, role=turn.role, expected=expected
            )
    if turns[-1].role != "assistant":
        raise InvalidRowError("row.last_turn", None, role=turns[-1].role)
