"""From one parsed row to one record: field checks, and the layouts other tools write.

Besides the native field names, Alpaca (`instruction`, `input`, `output`, `system`, `history`),
ShareGPT (`conversations` of `from`/`value`), OpenAI (`messages`) and C-Eval (`A`..`D`, `answer` a
letter) rows are recognised by the fields they have. Fields without a place in the record go to
`meta`: nothing a person wrote is dropped.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_error_phrases import ANSWER_TYPE, VALUE_TYPE_NAMES
from pipeline.data.conversation_layouts import conversation_record
from pipeline.data.records import Document, DomainItem, MultipleChoiceItem, Record
from pipeline.data.row_fields import InvalidRowError, common_fields, text_field, wrong_type

LETTERS = "ABCDEFGH"


def build_record(row: Mapping[str, Any], *, kind: DatasetKind, line: int) -> Record:
    """The record a row stands for.

    Raises:
        InvalidRowError: the first thing that is wrong with the row.
    """
    return _BUILDERS[kind](row, line)


_DOCUMENT_FIELDS = frozenset({"text", "title"})


def _document(row: Mapping[str, Any], line: int) -> Document:
    text = text_field(row, "text", required=True)
    return Document(
        text=text,
        title=text_field(row, "title", required=False) or None,
        **common_fields(row, line, _DOCUMENT_FIELDS, text),
    )


_DOMAIN_ITEM_FIELDS = frozenset({"instruction", "input", "output"})


def _domain_item(row: Mapping[str, Any], line: int) -> DomainItem:
    if "instruction" not in row and ("messages" in row or "conversations" in row):
        conversation = conversation_record(row, line)
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
    instruction = text_field(row, "instruction", required=True)
    output = text_field(row, "output", required=True)
    return DomainItem(
        instruction=instruction,
        input=text_field(row, "input", required=False),
        output=output,
        **common_fields(row, line, _DOMAIN_ITEM_FIELDS, instruction + output),
    )


_CHOICE_FIELDS = frozenset({"question", "choices", "answer"})


def _multiple_choice_item(row: Mapping[str, Any], line: int) -> MultipleChoiceItem:
    question = text_field(row, "question", required=True)
    own_fields = _CHOICE_FIELDS
    if "choices" in row:
        listed = row["choices"]
        if not isinstance(listed, list):
            raise wrong_type("choices", listed, VALUE_TYPE_NAMES[list])
        choices = [
            text_field({"choice": choice}, "choice", required=True, column=f"choices.{index}")
            for index, choice in enumerate(listed)
        ]
    elif "A" in row:
        # Spreadsheets leave the cells of unused choices at the end empty.
        letters = [letter for letter in LETTERS if row.get(letter) not in (None, "")]
        own_fields = own_fields | frozenset(LETTERS)
        choices = (
            [
                text_field(row, letter, required=True)
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
        **common_fields(row, line, own_fields, question + "".join(choices)),
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
        raise wrong_type("answer", answer, ANSWER_TYPE)
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
    "conversations": conversation_record,
    "domain_test": _domain_item,
    "multiple_choice": _multiple_choice_item,
}
