"""Records become token ids, and the positions that are trained on.

Text of the data is always plain text: `<|im_end|>` inside an uploaded answer becomes the characters
it is written with, never the token that ends a turn.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from pipeline.data.records import Conversation, Document, DomainItem, Message
from pipeline.errors import DataError, ModelError
from pipeline.modeling.chat_template import render

IGNORED_LABEL = -100
"""Positions with this label carry no loss (PyTorch's convention)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizedRow:
    """One document or conversation."""

    id: str
    input_ids: np.ndarray
    """int64 [T]."""
    labels: np.ndarray
    """int64 [T]; `input_ids` where the token is trained on, `IGNORED_LABEL` elsewhere."""


def tokenize_documents(
    documents: Iterable[Document], tokenizer: PreTrainedTokenizerBase
) -> list[TokenizedRow]:
    """Each document as its tokens and the end-of-text token, all of them trained on.

    A tokenizer that starts texts with a BOS token (Llama, Gemma) does so here too.

    Raises:
        DataError: `data.mask_empty` for a document without text, naming it.
    """
    prefix = start_of_text(tokenizer)
    rows = []
    for document in documents:
        token_ids = plain_token_ids(tokenizer, document.text)
        if not token_ids:
            raise DataError(
                "data.mask_empty",
                f"document {document.id!r} has no text to train on; remove it or fill its text",
            )
        input_ids = np.array([*prefix, *token_ids, tokenizer.eos_token_id], dtype=np.int64)
        rows.append(TokenizedRow(id=document.id, input_ids=input_ids, labels=input_ids.copy()))
    return rows


def tokenize_conversations(
    records: Iterable[Conversation | DomainItem], tokenizer: PreTrainedTokenizerBase
) -> list[TokenizedRow]:
    """Each conversation in the tokenizer's chat format; only the assistant's turns are trained on.

    Of these, turns of weight 0 are not. A trained turn is the answer and the token that ends it, so
    that the model learns to stop; nothing of the prompt and nothing the template writes after that
    token. The tokens before an answer are those the template's generation prompt gives at
    inference.

    Raises:
        ModelError: `model.no_chat_template`; `model.unsupported` for a template that drops or
            repeats messages or does not end turns with a special token; `model.template_limit`.
        DataError: `data.mask_empty` for a row without an answer, `data.row_invalid` for roles the
            template refuses; both name the row.
    """
    chat_format = ChatFormat(tokenizer)
    return [_tokenize_conversation(record, chat_format) for record in records]


def plain_token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of data: no special token is added, and none is recognised in the text."""
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
    return list(encoded.input_ids)


def truncate(row: TokenizedRow, max_seq_length: int) -> TokenizedRow:
    """The first `max_seq_length` tokens of a row.

    Raises:
        DataError: `data.mask_empty` when no trained token is among them, naming the row.
    """
    if len(row.input_ids) <= max_seq_length:
        return row
    labels = row.labels[:max_seq_length]
    # The first label predicts nothing: it has no token before it.
    if (labels[1:] == IGNORED_LABEL).all():
        raise DataError(
            "data.mask_empty",
            f"row {row.id!r} has {len(row.input_ids)} tokens and its first {max_seq_length} hold "
            "nothing of an answer; raise batch.max_seq_length or shorten its prompt",
        )
    return TokenizedRow(id=row.id, input_ids=row.input_ids[:max_seq_length], labels=labels)


def start_of_text(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The BOS token where the tokenizer starts texts with one, else nothing."""
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and tokenizer("").input_ids[:1] == [bos] else []


class ChatFormat:
    """A chat template taken apart, so that what the data says never becomes a special token.

    The template is rendered with markers in place of the messages' contents. Special tokens are
    looked for between the markers only; the contents are put back as plain text. For contents
    without special tokens the result is that of `tokenizer.apply_chat_template`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if tokenizer.chat_template is None:
            raise ModelError(
                "model.no_chat_template",
                "the model's tokenizer has no chat template, so conversations cannot be formatted; "
                "choose an instruction-tuned model or add chat_template.jinja to its directory",
            )
        self._tokenizer = tokenizer
        self._template = tokenizer.get_chat_template()
        self._rendered: dict[tuple[bool, tuple[str, ...]], str] = {}
        self._special_ids = {
            token.content: token_id
            for token_id, token in tokenizer.added_tokens_decoder.items()
            if token.special
        }
        longest_first = sorted(self._special_ids, key=len, reverse=True)
        self._boundary = re.compile(
            f"({_MARKER.pattern}|" + "|".join(map(re.escape, longest_first)) + ")"
        )
        probe = f"  {_marker(0)}  "
        try:
            rendered = self._render([{"role": "user", "content": probe}], for_generation=False)
        except TemplateError as exc:
            raise _unusable(exc) from exc
        self._strips_contents = probe not in rendered

    def conversation(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        """(token ids, whether each is trained on) of a whole conversation.

        Raises:
            ModelError: `model.unsupported`, see `tokenize_conversations`.
            jinja2.exceptions.TemplateError: the template refuses these roles.
        """
        token_ids: list[int] = []
        trained: list[bool] = []
        for segment, is_trained in self._segments(messages, for_generation=False):
            token_ids.extend(segment)
            trained.extend([is_trained] * len(segment))
        return token_ids, trained

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids after which the model's answer starts; `messages` end with the user's.

        Raises:
            DataError: `data.row_invalid` where the template refuses the turns' roles.
        """
        try:
            segments = list(self._segments(messages, for_generation=True))
        except TemplateError as exc:
            raise DataError(
                "data.row_invalid",
                f"the chat template refuses a question of the roles {_roles(messages)}: {exc}; "
                "use another model, or leave such questions out",
            ) from exc
        return [token_id for segment, _ in segments for token_id in segment]

    def _segments(
        self, messages: Sequence[Message], *, for_generation: bool
    ) -> Iterator[tuple[list[int], bool]]:
        """(token ids, trained on) of the stretches between special tokens and answers."""
        # Rows of a data set share few sequences of roles, and nothing else goes into the template.
        key = (for_generation, tuple(message.role for message in messages))
        if (rendered := self._rendered.get(key)) is None:
            rendered = self._render(
                [{"role": m.role, "content": _marker(i)} for i, m in enumerate(messages)],
                for_generation=for_generation,
            )
            if len(self._rendered) < _MAX_REMEMBERED:
                self._rendered[key] = rendered
        if _MARKER.findall(rendered) != [str(i) for i in range(len(messages))]:
            raise ModelError(
                "model.unsupported",
                "the chat template drops, repeats or reorders messages; use one that writes each "
                "message once, in order",
            )
        text, in_answer, is_trained, end = "", False, False, 0
        for match in self._boundary.finditer(rendered):
            text += rendered[end : match.start()]
            end = match.end()
            if match["message"] is None:
                yield plain_token_ids(self._tokenizer, text), is_trained
                yield [self._special_ids[match.group()]], is_trained
                text, in_answer, is_trained = "", False, False
                continue
            message = messages[int(match["message"])]
            content = message.content.strip() if self._strips_contents else message.content
            if message.role == "assistant":
                # Cut here, so that the tokens before an answer are those `prompt` gives.
                yield plain_token_ids(self._tokenizer, text), is_trained
                text, in_answer, is_trained = "", True, message.weight != 0
            text += content
        if in_answer:
            raise ModelError(
                "model.unsupported",
                "the chat template does not end the assistant's turn with a special token, so the "
                "model could not learn to stop; use a template that does",
            )
        yield plain_token_ids(self._tokenizer, text + rendered[end:]), False

    def _render(self, messages: list[dict[str, str]], *, for_generation: bool) -> str:
        # The names that `tokenizer.apply_chat_template` defines.
        variables = {
            "messages": messages,
            "tools": None,
            "documents": None,
            "add_generation_prompt": for_generation,
            **self._tokenizer.special_tokens_map,
        }
        return render(self._template, variables)


def _unusable(exc: TemplateError) -> ModelError:
    return ModelError(
        "model.unsupported",
        f"the chat template refuses a question and its answer: {exc}; use the chat_template.jinja "
        "of the model it was trained from",
    )


_MAX_REMEMBERED = 1_000
# Private-use characters, and no data: they mark where a content goes in the rendered template.
_MARKER = re.compile("\ue000(?P<message>[0-9]+)\ue001")


def _marker(index: int) -> str:
    return f"\ue000{index}\ue001"


def _tokenize_conversation(
    record: Conversation | DomainItem, chat_format: ChatFormat
) -> TokenizedRow:
    messages = record.to_messages()
    if not any(
        message.role == "assistant" and message.weight and message.content.strip()
        for message in messages
    ):
        raise DataError(
            "data.mask_empty",
            f"row {record.id!r} has no answer to train on; fill an assistant's turn whose weight "
            "is not 0, or remove the row",
        )
    try:
        token_ids, trained = chat_format.conversation(messages)
    except TemplateError as exc:
        raise DataError(
            "data.row_invalid",
            f"the chat template refuses row {record.id!r} with the roles {_roles(messages)}: "
            f"{exc}; change the row's roles or use another model",
        ) from exc
    input_ids = np.array(token_ids, dtype=np.int64)
    labels = np.where(trained, input_ids, IGNORED_LABEL)
    return TokenizedRow(id=record.id, input_ids=input_ids, labels=labels)


def _roles(messages: Sequence[Message]) -> str:
    return ", ".join(message.role for message in messages)


def stop_token_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The tokens that end an answer: the template's end of turn and the end of text.

    Raises:
        ModelError: as `tokenize_conversations`.
    """
    exchange = (Message(role="user", content="?"), Message(role="assistant", content="."))
    try:
        token_ids, trained = ChatFormat(tokenizer).conversation(exchange)
    except TemplateError as exc:
        raise _unusable(exc) from exc
    end_of_turn = [
        token_id for token_id, is_trained in zip(token_ids, trained, strict=True) if is_trained
    ][-1]
    return tuple(dict.fromkeys((end_of_turn, int(tokenizer.eos_token_id))))
