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
    weight: int = 1
    """0 for an answer that is only read, never trained on; no other turn is trained on anyway."""


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
    system: str = ""
    """What the system turn before the question says; may be empty."""
    history: tuple[tuple[str, str], ...] = ()
    """Earlier questions and answers that the question goes on from; context, never trained on."""
    source: str = ""
    license: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """What the user says: the instruction, then a blank line and the input if there is one."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    @property
    def prompt(self) -> str:
        """What is asked as a person reads it: the question; below its context, where it has any."""
        turns = self.prompt_messages()
        if len(turns) == 1:
            return self.question
        return "\n\n".join(f"[{turn.role}]\n{turn.content}" for turn in turns)

    def prompt_messages(self) -> tuple[Message, ...]:
        """The turns a model answers: context and question, ending with the user's."""
        turns = [Message(role="system", content=self.system)] if self.system else []
        for question, answer in self.history:
            turns.append(Message(role="user", content=question))
            turns.append(Message(role="assistant", content=answer, weight=0))
        return (*turns, Message(role="user", content=self.question))

    def to_messages(self) -> tuple[Message, ...]:
        """The item as turns: `prompt_messages`, then `output` by the assistant."""
        return (*self.prompt_messages(), Message(role="assistant", content=self.output))


@dataclass(frozen=True, kw_only=True, slots=True)
class MultipleChoiceItem:
    """A question with one right choice, or several (kind `multiple_choice`)."""

    id: str
    lang: str
    question: str
    choices: tuple[str, ...]
    answer: int
    """Index of the right choice, from 0; of several the first."""
    other_answers: tuple[int, ...] = ()
    """Of a question with several right choices the others; evaluations leave such questions out."""
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
