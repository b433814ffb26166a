"""From one parsed row to one record: field checks, and the layouts other tools write.

Besides the native field names, Alpaca (`instruction`, `input`, `output`, `system`, `history`),
ShareGPT (`conversations` of `from`/`value`), OpenAI (`messages`) and C-Eval (`A`..`D`, `answer` a
letter) rows are recognised by the fields they have. Fields without a place in the record go to
`meta`: nothing a person wrote is dropped.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.contracts.references import DatasetKind
from pipeline.data.choice_answers import plain_text, right_choices
from pipeline.data.choices import LETTERS, choices_of, has_choices
from pipeline.data.conversation_layouts import conversation_record, exchanges, question_of
from pipeline.data.languages import detect_language
from pipeline.data.records import Document, DomainItem, MultipleChoiceItem, Record
from pipeline.data.row_fields import InvalidRowError, check_text, common_fields, text_field
from pipeline.data.truth_words import choices_for


def build_record(
    row: Mapping[str, Any], *, kind: DatasetKind, line: int, first_number: int = 0
) -> Record:
    """The record a row stands for.

    Args:
        row: its fields by their native names, or in a layout that is recognised.
        kind: what the rows of the file are.
        line: where the row begins; names it where it has no id.
        first_number: what answers that are numbers call the first choice, 0 or 1.

    Raises:
        InvalidRowError: the first thing that is wrong with the row.
    """
    if kind == "multiple_choice":
        return _multiple_choice_item(row, line, first_number)
    return _BUILDERS[kind](row, line)


_DOCUMENT_FIELDS = frozenset({"text", "title"})


def _document(row: Mapping[str, Any], line: int) -> Document:
    text = text_field(row, "text", required=True)
    return Document(
        text=text,
        title=text_field(row, "title", required=False) or None,
        **common_fields(row, line, _DOCUMENT_FIELDS, text),
    )


_DOMAIN_ITEM_FIELDS = frozenset({"instruction", "input", "output", "system", "history"})


def _domain_item(row: Mapping[str, Any], line: int) -> DomainItem:
    if "instruction" not in row and ("messages" in row or "conversations" in row):
        return question_of(conversation_record(row, line))
    instruction = text_field(row, "instruction", required=True)
    output = text_field(row, "output", required=True)
    return DomainItem(
        instruction=instruction,
        input=text_field(row, "input", required=False),
        output=output,
        system=text_field(row, "system", required=False),
        history=exchanges(row),
        **common_fields(row, line, _DOMAIN_ITEM_FIELDS, instruction + output),
    )


_CHOICE_FIELDS = frozenset({"question", "choices", "answer", "other_answers"})


def _multiple_choice_item(
    row: Mapping[str, Any], line: int, first_number: int = 0
) -> MultipleChoiceItem:
    question = text_field(row, "question", required=True)
    answer = row.get("answer")
    if answer is None or answer == "" or answer == []:
        code = "row.required_empty" if "answer" in row else "row.field_missing"
        raise InvalidRowError(code, "answer", field="answer")
    if isinstance(answer, str):
        check_text(answer, "answer")
    choices = choices_of(row) if has_choices(row) else _truth_choices(answer, question)
    if len(choices) < 2 or len(set(choices)) != len(choices):
        raise InvalidRowError("row.choices", "choices", value=choices, count=len(set(choices)))
    if row.get("other_answers"):  # of a version: numbers from 0
        answer = [answer, *row["other_answers"]]
    first, *others = right_choices(answer, choices, first_number=first_number)
    own_fields = _CHOICE_FIELDS if row.get("choices") else _CHOICE_FIELDS | frozenset(LETTERS)
    return MultipleChoiceItem(
        question=question,
        choices=tuple(choices),
        answer=first,
        other_answers=tuple(others),
        **common_fields(row, line, own_fields, question + "".join(choices)),
    )


def _truth_choices(answer: object, question: str) -> list[str]:
    """Right and wrong, for a question that is answered by one of them and gives no choices."""
    word = answer if isinstance(answer, str) else str(answer) if isinstance(answer, bool) else ""
    pair = choices_for(plain_text(word), lang=detect_language(question))
    if pair is None:
        raise InvalidRowError("row.field_missing", "choices", field="choices")
    return list(pair)


_BUILDERS: Mapping[DatasetKind, Callable[[Mapping[str, Any], int], Record]] = {
    "corpus": _document,
    "conversations": conversation_record,
    "domain_test": _domain_item,
}
