"""From one parsed row to one record: field checks, and the layouts other tools write.

Besides the native field names, Alpaca (`instruction`, `input`, `output`, `system`, `history`),
ShareGPT (`conversations` of `from`/`value`), OpenAI (`messages`) and C-Eval (`A`..`D`, `answer` a
letter) rows are recognised by the fields they have. Fields without a place in the record go to
`meta`: nothing a person wrote is dropped.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_errors import (
    ANSWER_TYPE,
    CONVERSATION_FIELDS,
    EXCHANGE_TYPE,
    VALUE_TYPE_NAMES,
    RowError,
    excerpt,
)
from pipeline.data.records import (
    Conversation,
    Document,
    DomainItem,
    Message,
    MultipleChoiceItem,
    Record,
)

LANGUAGES = ("zh", "en")
LETTERS = "ABCDEFGH"
SHAREGPT_ROLES = {"human": "user", "gpt": "assistant"}
ROLES = ("system", "user", "assistant")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# U+FFFD is what a lenient decoder writes; the others are its UTF-8 bytes read as GBK or Latin-1.
_MOJIBAKE = ("\ufffd", "\u951f\u65a4\u62f7", "\u00ef\u00bf\u00bd")


class InvalidRowError(Exception):
    """A row cannot become a record; carries what a `RowError` needs except the line."""

    def __init__(
        self, code: str, column: str | None = None, *, value: object = "", **params: str | int
    ) -> None:
        super().__init__(code)
        self.code = code
        self.column = column
        self.value = value
        self.params = params

    def at_line(self, line: int) -> RowError:
        """The error with its place."""
        return RowError(
            code=self.code,
            line=line,
            column=self.column,
            params=self.params,
            value_excerpt=excerpt(self.value),
        )


def type_name(value: object) -> str:
    """What a person calls the JSON type of `value`."""
    return VALUE_TYPE_NAMES.get(type(value), type(value).__name__)


def build_record(row: Mapping[str, Any], *, kind: DatasetKind, line: int) -> Record:
    """The record a row stands for.

    Raises:
        InvalidRowError: the first thing that is wrong with the row.
    """
    return _BUILDERS[kind](row, line)


def check_text(text: str, column: str) -> str:
    """`text`, unchanged.

    Raises:
        InvalidRowError: it holds a character that no store or tokenizer takes, or that shows that
            the text was already damaged.
    """
    if "\x00" in text:
        raise InvalidRowError("row.nul_character", column, value=text)
    # Encoding is several times faster than a regular expression over the usual, valid text.
    try:
        text.encode()
    except UnicodeEncodeError:
        match = _LONE_SURROGATE.search(text)
        found = f"U+{ord(match.group()):04X}" if match else ""
        raise InvalidRowError("row.lone_surrogate", column, value=text, found=found) from None
    for sign in _MOJIBAKE:
        if sign in text:
            raise InvalidRowError("row.mojibake", column, value=text, found=sign)
    return text


def _text(row: Mapping[str, Any], name: str, *, required: bool, column: str = "") -> str:
    column = column or name
    value = row.get(name)
    if value is None:
        if required:
            code = "row.required_empty" if name in row else "row.field_missing"
            raise InvalidRowError(code, column, field=column)
        return ""
    if not isinstance(value, str):
        raise _wrong_type(column, value, VALUE_TYPE_NAMES[str])
    check_text(value, column)
    if required and not value.strip():
        raise InvalidRowError("row.required_empty", column, value=value, field=column)
    return value


def _wrong_type(column: str, value: object, expected: str) -> InvalidRowError:
    return InvalidRowError(
        "row.type",
        column,
        value=value,
        field=column,
        found=type_name(value),
        expected=expected,
    )


def _detect_language(text: str) -> str:
    """`zh` when a tenth of the first characters are Chinese; mixed text is usually Chinese."""
    sample = text[:400]
    chinese = sum("\u4e00" <= c <= "\u9fff" for c in sample)
    return "zh" if chinese * 10 >= len(sample) else "en"


_COMMON_FIELDS = frozenset({"id", "lang", "source", "license", "meta"})


def _common(
    row: Mapping[str, Any], line: int, own_fields: frozenset[str], text: str
) -> dict[str, Any]:
    identifier = row.get("id")
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        identifier = str(identifier)
    elif identifier in (None, ""):
        identifier = f"line-{line}"
    else:
        identifier = _text(row, "id", required=True)
    lang = _text(row, "lang", required=False) or _detect_language(text)
    if lang not in LANGUAGES:
        raise InvalidRowError(
            "row.enum",
            "lang",
            value=lang,
            field="lang",
            allowed=", ".join(LANGUAGES),
        )
    meta = row.get("meta")
    if meta is None:
        meta = {}
    elif not isinstance(meta, dict):
        raise _wrong_type("meta", meta, VALUE_TYPE_NAMES[dict])
    extra = row.keys() - own_fields - _COMMON_FIELDS
    if extra:
        meta = {**{name: row[name] for name in row if name in extra}, **meta}
    _check_nested(meta, "meta")
    return {
        "id": identifier,
        "lang": lang,
        "source": _text(row, "source", required=False),
        "license": _text(row, "license", required=False),
        "meta": meta,
    }


def _check_nested(value: object, column: str) -> None:
    if isinstance(value, str):
        check_text(value, column)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key, column)
            _check_nested(item, f"{column}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_nested(item, f"{column}.{index}")


_DOCUMENT_FIELDS = frozenset({"text", "title"})


def _document(row: Mapping[str, Any], line: int) -> Document:
    text = _text(row, "text", required=True)
    return Document(
        text=text,
        title=_text(row, "title", required=False) or None,
        **_common(row, line, _DOCUMENT_FIELDS, text),
    )


_DOMAIN_ITEM_FIELDS = frozenset({"instruction", "input", "output"})


def _domain_item(row: Mapping[str, Any], line: int) -> DomainItem:
    if "instruction" not in row and ("messages" in row or "conversations" in row):
        conversation = _conversation(row, line)
        turns = conversation.messages
        if len(turns) != 2:
            raise InvalidRowError("row.not_single_turn", count=len(turns))
        return DomainItem(
            id=conversation.id,
            lang=conversation.lang,
            instruction=turns[0].content,
            input="",
            output=turns[1].content,
            source=conversation.source,
            license=conversation.license,
            meta=conversation.meta,
        )
    instruction = _text(row, "instruction", required=True)
    output = _text(row, "output", required=True)
    return DomainItem(
        instruction=instruction,
        input=_text(row, "input", required=False),
        output=output,
        **_common(row, line, _DOMAIN_ITEM_FIELDS, instruction + output),
    )


_MESSAGES_FIELDS = frozenset({"messages"})
_SHAREGPT_FIELDS = frozenset({"conversations", "system"})
_ALPACA_FIELDS = frozenset({"instruction", "input", "output", "system", "history"})


def _conversation(row: Mapping[str, Any], line: int) -> Conversation:
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
        **_common(row, line, own_fields, "".join(turn.content for turn in turns)),
    )


def _turns(value: object, column: str, role_key: str, content_key: str) -> list[Message]:
    if not isinstance(value, list):
        raise _wrong_type(column, value, VALUE_TYPE_NAMES[list])
    if not value:
        raise InvalidRowError("row.required_empty", column, field=column)
    turns = []
    for index, item in enumerate(value):
        place = f"{column}.{index}"
        if not isinstance(item, dict):
            raise _wrong_type(place, item, VALUE_TYPE_NAMES[dict])
        role = _text(item, role_key, required=True, column=f"{place}.{role_key}")
        role = SHAREGPT_ROLES.get(role, role)
        if role not in ROLES:
            raise InvalidRowError(
                "row.enum",
                f"{place}.{role_key}",
                value=role,
                field=f"{place}.{role_key}",
                allowed=", ".join((*ROLES, *SHAREGPT_ROLES)),
            )
        content = _text(item, content_key, required=True, column=f"{place}.{content_key}")
        turns.append(Message(role=role, content=content))  # type: ignore[arg-type]
    return turns


def _system_turn(row: Mapping[str, Any]) -> list[Message]:
    system = _text(row, "system", required=False)
    return [Message(role="system", content=system)] if system.strip() else []


def _alpaca_turns(row: Mapping[str, Any]) -> list[Message]:
    turns = _system_turn(row)
    history = row.get("history") or []
    if not isinstance(history, list):
        raise _wrong_type("history", history, VALUE_TYPE_NAMES[list])
    for index, pair in enumerate(history):
        place = f"history.{index}"
        if not isinstance(pair, list) or len(pair) != 2:
            raise _wrong_type(place, pair, EXCHANGE_TYPE)
        for role, text in zip(("user", "assistant"), pair, strict=True):
            content = _text({"text": text}, "text", required=True, column=f"{place}.{role}")
            turns.append(Message(role=role, content=content))  # type: ignore[arg-type]
    item = DomainItem(
        id="",
        lang="",
        instruction=_text(row, "instruction", required=True),
        input=_text(row, "input", required=False),
        output=_text(row, "output", required=True),
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


_CHOICE_FIELDS = frozenset({"question", "choices", "answer"})


def _multiple_choice_item(row: Mapping[str, Any], line: int) -> MultipleChoiceItem:
    question = _text(row, "question", required=True)
    own_fields = _CHOICE_FIELDS
    if "choices" in row:
        listed = row["choices"]
        if not isinstance(listed, list):
            raise _wrong_type("choices", listed, VALUE_TYPE_NAMES[list])
        choices = [
            _text({"choice": choice}, "choice", required=True, column=f"choices.{index}")
            for index, choice in enumerate(listed)
        ]
    elif "A" in row:
        # Spreadsheets leave the cells of unused choices at the end empty.
        letters = [letter for letter in LETTERS if row.get(letter) not in (None, "")]
        own_fields = own_fields | frozenset(LETTERS)
        choices = (
            [
                _text(row, letter, required=True)
                for letter in LETTERS[: LETTERS.find(letters[-1]) + 1]
            ]
            if letters
            else []
        )
    else:
        raise InvalidRowError("row.field_missing", "choices", field="choices")
    if len(choices) < 2 or len(set(choices)) != len(choices):
        raise InvalidRowError("row.choices", "choices", value=choices, count=len(set(choices)))
    return MultipleChoiceItem(
        question=question,
        choices=tuple(choices),
        answer=_answer_index(row, len(choices)),
        **_common(row, line, own_fields, question + "".join(choices)),
    )


def _answer_index(row: Mapping[str, Any], num_choices: int) -> int:
    answer = row.get("answer")
    if answer is None or answer == "":
        code = "row.required_empty" if "answer" in row else "row.field_missing"
        raise InvalidRowError(code, "answer", field="answer")
    if isinstance(answer, str):
        if len(answer) == 1 and answer.upper() in LETTERS:
            index = LETTERS.index(answer.upper())
        elif answer.isascii() and answer.isdigit() and len(answer) < 3:
            index = int(answer)
        else:
            index = -1
    elif isinstance(answer, int) and not isinstance(answer, bool):
        index = answer
    else:
        raise _wrong_type("answer", answer, ANSWER_TYPE)
    if not 0 <= index < num_choices:
        raise InvalidRowError(
            "row.answer_range",
            "answer",
            value=answer,
            count=num_choices,
            last=num_choices - 1,
        )
    return index


_BUILDERS: Mapping[DatasetKind, Callable[[Mapping[str, Any], int], Record]] = {
    "corpus": _document,
    "conversations": _conversation,
    "domain_test": _domain_item,
    "multiple_choice": _multiple_choice_item,
}
