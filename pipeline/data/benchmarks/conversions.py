"""From a row as a benchmark's authors write it to the native fields of a record.

What a benchmark says beyond them goes to `meta`. Where it asks in several fields, they are joined
as its authors, or the harness, do. Errors name the fields of the file.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_error_phrases import LABEL_TYPE, VALUE_TYPE_NAMES
from pipeline.data.choices import LETTERS
from pipeline.data.row_fields import InvalidRowError, text_field, wrong_type

Row = Mapping[str, Any]
GSM8K_MARK = "\n#### "
"""Stands before the number in an answer of GSM8K."""


def same(row: Row, kind: DatasetKind) -> dict[str, Any]:
    """A row that has the native fields already."""
    return dict(row)


def _without(row: Row, *names: str) -> dict[str, Any]:
    """What is left of a row for `meta`."""
    return {name: value for name, value in row.items() if name not in names and value is not None}


def _text(row: Row, name: str) -> str:
    return text_field(row, name, required=True)


def _text_or_none(row: Row, name: str) -> str:
    return text_field(row, name, required=False)


def _texts(value: object, column: str) -> list[str]:
    if not isinstance(value, list):
        raise wrong_type(column, value, VALUE_TYPE_NAMES[list])
    return [
        text_field({"item": item}, "item", required=True, column=f"{column}.{index}")
        for index, item in enumerate(value)
    ]


def _index_of_label(label: object, labels: Sequence[str], column: str) -> int | None:
    """Which of the labels, or None where there is no answer."""
    if label in (None, ""):
        return None
    if label not in labels:
        raise InvalidRowError(
            "row.answer_label", column, value=label, labels=", ".join(labels), count=len(labels)
        )
    return list(labels).index(str(label))


def _index_of_number(label: object, num_choices: int) -> int | None:
    """A label that counts from 0, as a number or a text; None where there is no answer."""
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    return _index_of_label(label, [str(index) for index in range(num_choices)], "label")


def cmmlu(row: Row, kind: DatasetKind) -> dict[str, Any]:
    """CMMLU of a hub: fields with capitals."""
    letters = {letter: row[letter] for letter in "ABCD"}
    return {"question": row["Question"], **letters, "answer": row["Answer"]}


def arc_ai2(row: Row, kind: DatasetKind) -> dict[str, Any]:
    """ARC of AI2: the choices stand inside the question."""
    asked = row["question"]
    if not isinstance(asked, dict):
        raise wrong_type("question", asked, VALUE_TYPE_NAMES[dict])
    listed = asked.get("choices")
    if not isinstance(listed, list):
        raise wrong_type("question.choices", listed, VALUE_TYPE_NAMES[list])
    for index, choice in enumerate(listed):
        if not isinstance(choice, dict):
            raise wrong_type(f"question.choices.{index}", choice, VALUE_TYPE_NAMES[dict])
    stem = text_field(asked, "stem", required=True, column="question.stem")
    labels = _texts([choice.get("label") for choice in listed], "question.choices.label")
    return {
        "id": row["id"],
        "question": stem,
        "choices": _texts([choice.get("text") for choice in listed], "question.choices.text"),
        "answer": _index_of_label(row.get("answerKey"), labels, "answerKey"),
    }


def arc_hub(row: Row, kind: DatasetKind) -> dict[str, Any]:
    """ARC of a hub: choices as two lists."""
    choices = row["choices"]
    if not isinstance(choices, dict):
        raise wrong_type("choices", choices, VALUE_TYPE_NAMES[dict])
    labels = _texts(choices.get("label"), "choices.label")
    texts = _texts(choices.get("text"), "choices.text")
    if len(labels) != len(texts):
        raise InvalidRowError("row.choices", "choices", value=labels, count=len(labels))
    return {
        "id": row["id"],
        "question": _text(row, "question"),
        "choices": texts,
        "answer": _index_of_label(row["answerKey"], labels, "answerKey"),
    }


def hellaswag(row: Row, kind: DatasetKind) -> dict[str, Any]:
    """HellaSwag, as lm-evaluation-harness asks it."""
    first, second = _text(row, "ctx_a"), _text_or_none(row, "ctx_b")
    asked = f"{_text(row, 'activity_label')}: {first} {second.capitalize()}"
    endings = [_without_marks(ending) for ending in _texts(row["endings"], "endings")]
    return {
        "question": _without_marks(asked),
        "choices": endings,
        "answer": _index_of_number(row.get("label"), len(endings)),
        "meta": _without(row, "ctx", "ctx_a", "ctx_b", "endings", "label", "split"),
    }


_MARKS = re.compile(r"\[.*?\]")


def _without_marks(text: str) -> str:
    """Without the marks of WikiHow pages (`[title]`, `[step]`), as the harness removes them."""
    return _MARKS.sub("", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def piqa(row: Row, kind: DatasetKind) -> dict[str, Any]:
    """PIQA; the label is a field of a hub's rows, and stands in a second file of its authors."""
    return {
        "question": _text(row, "goal"),
        "choices": [_text(row, "sol1"), _text(row, "sol2")],
        "answer": _index_of_number(row.get("label"), 2),
    }


def agieval(row: Row, kind: DatasetKind) -> dict[str, Any]:
    """AGIEval: choices, or for `domain_test` the fill-in tasks."""
    passage, question = _text_or_none(row, "passage"), _text(row, "question")
    asked = f"{passage}\n{question}" if passage else question
    meta = _without(row, "passage", "question", "options", "label", "answer")
    if kind == "domain_test":
        if row["options"]:
            raise InvalidRowError("row.has_choices", "options", value=row["options"])
        return {"instruction": asked, "output": row.get("answer"), "meta": meta}
    if row["options"] is None:
        raise InvalidRowError("row.no_choices", "options")
    options = _texts(row["options"], "options")
    labels = list(LETTERS[: len(options)])
    prefixes = [f"({letter})" for letter in labels]
    # The letter stands in the option's text; in full-answer form it would be part of the answer.
    if len(options) <= len(LETTERS) and all(map(str.startswith, options, prefixes)):
        options = list(map(str.removeprefix, options, prefixes))
    label = row["label"]
    if isinstance(label, list):
        if len(label) > 1:
            raise InvalidRowError("row.several_answers", "label", value=label, count=len(label))
        label = label[0] if label else None
    if not isinstance(label, str | None):
        raise wrong_type("label", label, LABEL_TYPE)
    return {
        "question": asked,
        "choices": options,
        "answer": _index_of_label(label, labels, "label"),
        "meta": meta,
    }


def gsm8k(row: Row, kind: DatasetKind) -> dict[str, Any]:
    """GSM8K: the answer keeps its reasoning, the number is its last line."""
    answer = _text(row, "answer")
    if GSM8K_MARK not in answer:
        raise InvalidRowError("row.no_final_number", "answer", value=answer[-80:])
    return {"instruction": _text(row, "question"), "output": answer}


def lawbench(row: Row, kind: DatasetKind) -> dict[str, Any]:
    """LawBench: the prompt is the two fields joined by one line break."""
    question = _text_or_none(row, "question")
    instruction = _text(row, "instruction")
    asked = f"{instruction}\n{question}" if question else instruction
    return {"instruction": asked, "output": _text(row, "answer")}
