"""What is compared of a row: its texts by field, and the canonical form in which they are compared.

Two texts with the same canonical form say the same: they differ at most in width, case, white space
and characters that nobody sees.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.data.records import (
    Conversation,
    Document,
    DomainItem,
    MultipleChoiceItem,
    Record,
)

_UNSEEN = re.compile(r"[\s\u00ad\u200b-\u200f\u2060\ufeff]+")


def text_fields(record: Record) -> list[tuple[str, str]]:
    """(field, text) of all that a row says, in its order; turns are `messages.1`, from 1."""
    if isinstance(record, Document):
        return [("title", record.title or ""), ("text", record.text)]
    if isinstance(record, Conversation):
        return [
            (f"messages.{number}", message.content)
            for number, message in enumerate(record.messages, start=1)
        ]
    if isinstance(record, DomainItem):
        history = (text for exchange in record.history for text in exchange)
        return [
            ("system", record.system),
            *((f"history.{number}", text) for number, text in enumerate(history, start=1)),
            *item_fields(record),
        ]
    return item_fields(record)


def item_fields(item: DomainItem | MultipleChoiceItem) -> list[tuple[str, str]]:
    """(field, text) of a question and its answers; what is said before it is context."""
    if isinstance(item, DomainItem):
        return [("instruction", item.instruction), ("input", item.input), ("output", item.output)]
    choices = enumerate(item.choices, start=1)
    return [("question", item.question), *((f"choices.{i}", text) for i, text in choices)]


def meta_texts(value: Any, name: str = "meta") -> Iterator[tuple[str, str]]:
    """(dotted name, text) of the texts and whole numbers in `meta`, however deep."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, str(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from meta_texts(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from meta_texts(item, name)


def answers(record: Record) -> list[str]:
    """What a model learns to write from the row: a document's text, the answers of the others."""
    if isinstance(record, Document):
        return [record.text]
    if isinstance(record, Conversation):
        answers = (turn for turn in record.messages if turn.role == "assistant" and turn.weight)
        return [turn.content for turn in answers]
    return [record.output] if isinstance(record, DomainItem) else []


def canonical(text: str) -> str:
    """The text in compatibility form, lower case, without white space and unseen characters."""
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text).casefold())


def row_text(record: Record) -> str:
    """Canonical text of a whole row, field by field; the title of a document is none of it."""
    return "\n".join(canonical(text) for field, text in text_fields(record) if field != "title")


def own_text(record: Record) -> str:
    """As `row_text` without what a system turn says, which many rows have in common."""
    if isinstance(record, Conversation):
        turns = (turn for turn in record.messages if turn.role != "system")
        return "\n".join(canonical(turn.content) for turn in turns)
    fields = text_fields(record)
    return "\n".join(canonical(text) for field, text in fields if field not in {"title", "system"})
