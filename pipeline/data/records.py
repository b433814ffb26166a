"""The rows every phase reads: one frozen class for each kind of data set.

Field names are the native names of the data files (`docs/data_formats.md`). Text is kept exactly as
it was written: nothing is stripped, normalised or repaired.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.contracts.references import DatasetKind

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A text to pre-train on (kind `corpus`)."""

    id: str
    lang: str
    text: str
    title: str | None = None
    source: str = ""
    license: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """Turns that alternate user and assistant after an optional system turn (kind `conversations`).

    The last turn is the assistant's.
    """

    id: str
    lang: str
    messages: tuple[Message, ...]
    source: str = ""
    license: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def to_messages(self) -> tuple[Message, ...]:
        """The turns, as a chat template takes them."""
        return self.messages


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainItem:
    """A question of the domain and its reference answer (kind `domain_test`)."""

    id: str
    lang: str
    instruction: str
    input: str
    """Material the question rests on; may be empty."""
    output: str
    source: str = ""
    license: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """What the user says: the instruction, then a blank line and the input if there is one."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    def to_messages(self) -> tuple[Message, ...]:
        """The item as one exchange: `prompt` by the user, `output` by the assistant."""
        return (
            Message(role="user", content=self.prompt),
            Message(role="assistant", content=self.output),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MultipleChoiceItem:
    """A question with one right choice (kind `multiple_choice`)."""

    id: str
    lang: str
    question: str
    choices: tuple[str, ...]
    answer: int
    """Index of the right choice, from 0."""
    source: str = ""
    license: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


Record = Document | Conversation | DomainItem | MultipleChoiceItem

RECORD_TYPES: Mapping[DatasetKind, type[Record]] = {
    "corpus": Document,
    "conversations": Conversation,
    "domain_test": DomainItem,
    "multiple_choice": MultipleChoiceItem,
}
