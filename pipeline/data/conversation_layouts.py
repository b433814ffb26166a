"""Conversations as other tools write them: Alpaca, ShareGPT, OpenAI messages."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.contracts.row_error_phrases import (
    CONVERSATION_FIELDS,
    EXCHANGE_TYPE,
    VALUE_TYPE_NAMES,
)
from pipeline.data.records import Conversation, DomainItem, Message
from pipeline.data.row_fields import InvalidRowError, common_fields, text_field, wrong_type
from pipeline.data.turns import Turn, is_turn, read_turns, turn_meta

_ALPACA_FIELDS = frozenset({"instruction", "input", "output", "system", "history"})


def conversation_record(row: Mapping[str, Any], line: int) -> Conversation:
    if "messages" in row or "conversations" in row:
        name = "messages" if "messages" in row else "conversations"
        own_fields = frozenset({name})
        turns = read_turns(row[name], name)
        # A second system turn has no place; the field then stays in `meta`.
        if turns[0].message.role != "system" and "system" in row:
            own_fields = frozenset({name, "system"})
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
    messages = tuple(turn.message for turn in turns)
    _check_turn_order(messages)
    if not any(turn.weight for turn in messages if turn.role == "assistant"):
        raise InvalidRowError("row.nothing_trained")
    fields = common_fields(row, line, own_fields, "".join(turn.content for turn in messages))
    return Conversation(messages=messages, **{**fields, "meta": turn_meta(fields["meta"], turns)})


def question_of(conversation: Conversation) -> DomainItem:
    """The last question of a conversation with its answer; the turns before are its context."""
    turns = list(conversation.messages)
    system = turns.pop(0).content if turns[0].role == "system" else ""
    *before, asked, answer = turns
    return DomainItem(
        id=conversation.id,
        lang=conversation.lang,
        instruction=asked.content,
        input="",
        output=answer.content,
        system=system,
        history=_pairs(before) if before else (),
        source=conversation.source,
        license=conversation.license,
        meta=conversation.meta,
    )


def exchanges(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Questions and answers of Alpaca's `history`; a table has it as JSON text."""
    history = row.get("history") or []
    if isinstance(history, str):
        try:
            history = json.loads(history)
        except ValueError:
            raise wrong_type("history", history, VALUE_TYPE_NAMES[list]) from None
    if not isinstance(history, list):
        raise wrong_type("history", history, VALUE_TYPE_NAMES[list])
    if history and all(map(is_turn, history)):
        return _pairs([turn.message for turn in read_turns(history, "history")])
    found = []
    for index, pair in enumerate(history):
        place = f"history.{index}"
        if not isinstance(pair, list) or len(pair) != 2:
            raise wrong_type(place, pair, EXCHANGE_TYPE)
        question, answer = (
            text_field({"text": text}, "text", required=True, column=f"{place}.{role}")
            for role, text in zip(("user", "assistant"), pair, strict=True)
        )
        found.append((question, answer))
    return tuple(found)


def _pairs(turns: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    _check_turn_order(turns)
    if turns[0].role == "system":
        raise InvalidRowError(
            "row.turn_order", "history", turn=1, role=turns[0].role, expected="user"
        )
    return tuple(
        (asked.content, said.content) for asked, said in zip(turns[::2], turns[1::2], strict=True)
    )


def _system_turn(row: Mapping[str, Any]) -> list[Turn]:
    system = text_field(row, "system", required=False)
    return [Turn(Message(role="system", content=system), {})] if system.strip() else []


def _alpaca_turns(row: Mapping[str, Any]) -> list[Turn]:
    turns = _system_turn(row)
    for question, answer in exchanges(row):
        turns.append(Turn(Message(role="user", content=question), {}))
        turns.append(Turn(Message(role="assistant", content=answer), {}))
    item = DomainItem(
        id="",
        lang="",
        instruction=text_field(row, "instruction", required=True),
        input=text_field(row, "input", required=False),
        output=text_field(row, "output", required=True),
    )
    return [*turns, *(Turn(message, {}) for message in item.to_messages())]


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
