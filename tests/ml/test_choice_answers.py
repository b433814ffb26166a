"""What an answer of multiple choice names, in the forms people write it in."""

from pathlib import Path

import pytest

from pipeline.contracts.references import DatasetRef
from pipeline.contracts.row_errors import RowError
from pipeline.data.choice_answers import right_choices
from pipeline.data.choices import choices_of
from pipeline.data.datasets import read_rows
from pipeline.data.layouts import build_record
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import MultipleChoiceItem
from pipeline.data.row_fields import InvalidRowError
from pipeline.data.version_files import RowWriter
from pipeline.errors import DataError
from pipeline.evaluation.several_answers import with_one_answer

CHOICES = ["\u7532", "\u4e59", "\u4e19", "\u4e01"]
JUDGED = ["\u5bf9", "\u9519"]


@pytest.mark.parametrize(
    "answer",
    [
        *("B", "b", "\uff22", "\uff42", " B ", "B.", "B\u3001", "B\uff0e", "\uff08B\uff09", "(b)"),
        *("\u3010B\u3011", "[B]", "B\u9879", "\u9009B", "\u7b54\u6848\uff1aB"),
        *("\u6b63\u786e\u7b54\u6848\u662fB\u3002", "1", 1, ["B"], "\u4e59", " \u4e59 "),
        *("B.\u4e59", "B\u3001\u4e59", "\uff22\uff0e\u4e59", "(B) \u4e59"),
    ],
)
def test_one_choice_in_many_dresses(answer: object) -> None:
    assert right_choices(answer, CHOICES, first_number=0) == (1,)


@pytest.mark.parametrize(
    "answer",
    [
        *("ABD", "abd", "A,B,D", "A\u3001B\u3001D", "A B D", "A;B;D", "\uff21\uff22\uff24", "DBA"),
        *("A\uff0cB\u548cD", ["A", "B", "D"], [0, 1, 3], "\u7532\uff1b\u4e59\uff1b\u4e01"),
        "A.\u7532;B.\u4e59;D.\u4e01",
    ],
)
def test_several_choices(answer: object) -> None:
    assert right_choices(answer, CHOICES, first_number=0) == (0, 1, 3)


@pytest.mark.parametrize(
    ("answer", "choices", "code"),
    [
        ("E", CHOICES, "row.answer_range"),
        ("ABE", CHOICES, "row.answer_range"),
        ("AA", CHOICES, "row.answer_range"),
        ("\u620a", CHOICES, "row.answer_range"),
        ("B.\u7532", CHOICES, "row.answer_range"),  # the letter of one, the text of another
        (4, CHOICES, "row.answer_range"),
        (1.0, CHOICES, "row.type"),
        (True, CHOICES, "row.type"),
        ("2", ["1", "2", "3", "4"], "row.answer_ambiguous"),
        ("A", ["B", "A"], "row.answer_ambiguous"),
        ("AB", ["A", "B", "AB", "O"], "row.answer_ambiguous"),
    ],
)
def test_what_names_no_choice_or_two_is_refused(answer: object, choices: list, code: str) -> None:
    with pytest.raises(InvalidRowError) as caught:
        right_choices(answer, choices, first_number=0)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("answer", "choices", "index"),
    [
        ("\u9519", JUDGED, 1),
        ("\u9519\u8bef", JUDGED, 1),
        ("\u00d7", JUDGED, 1),
        ("F", JUDGED, 1),
        (False, JUDGED, 1),
        ("B", JUDGED, 1),
        ("T", ["\u9519\u8bef", "\u6b63\u786e"], 1),
        ("\u221a", ["A.\u6b63\u786e", "B.\u9519\u8bef"], 0),
        ("B", ["A.\u7532", "B.\u4e59"], 1),
        ("\u4e59", ["A.\u7532", "B.\u4e59"], 1),
        ("A \u80a1", ["A \u80a1", "B \u80a1"], 0),
        ("O", ["A", "B", "AB", "O"], 3),
    ],
)
def test_true_or_false_and_texts_with_letters(answer: object, choices: list, index: int) -> None:
    assert right_choices(answer, choices, first_number=0) == (index,)


@pytest.mark.parametrize(
    ("answer", "choices"),
    [
        ("\u5bf9", ("\u5bf9", "\u9519")),
        ("\u9519\u8bef", ("\u6b63\u786e", "\u9519\u8bef")),
        ("\u221a", ("\u5bf9", "\u9519")),
        (True, ("\u5bf9", "\u9519")),
    ],
)
def test_a_question_judged_right_or_wrong_needs_no_choices(answer: object, choices) -> None:
    row = {"question": "\u56fd\u4f01\u662f\u5168\u6c11\u6240\u6709", "answer": answer}
    record = build_record(row, kind="multiple_choice", line=1)
    assert isinstance(record, MultipleChoiceItem)
    assert record.choices == choices
    assert record.answer == (answer == "\u9519\u8bef")


@pytest.mark.parametrize(
    "cell",
    [
        "A.\u7532 B.\u4e59 C.\u4e19",
        "A\u3001\u7532B\u3001\u4e59C\u3001\u4e19",
        "(A)\u7532\n(B)\u4e59\n(C)\u4e19",
        "A\uff1a\u7532\uff1bB\uff1a\u4e59\uff1bC\uff1a\u4e19",
        "\u7532\n\u4e59\r\n\u4e19",
        "\u7532|\u4e59|\u4e19",
        '["\u7532", "\u4e59", "\u4e19"]',
        {"A": "\u7532", "B": "\u4e59", "C": "\u4e19"},
        [{"key": letter, "text": text} for letter, text in zip("ABC", CHOICES, strict=False)],
    ],
)
def test_choices_in_one_cell(cell: object) -> None:
    assert choices_of({"choices": cell}) == CHOICES[:3]


def test_choices_that_cannot_be_told_apart_are_refused() -> None:
    for cell in ("\u7532\u3001\u4e59\u3001\u4e19", "A.\u7532 C.\u4e59", "\u7532"):
        with pytest.raises(InvalidRowError) as caught:
            choices_of({"choices": cell})
        assert caught.value.code == "row.choices_cell"


def table(path: Path, answers: list[object]) -> Path:
    rows = "".join(f"Q{number},a,b,c,d,{answer}\n" for number, answer in enumerate(answers))
    path.write_text("question,A,B,C,D,answer\n" + rows)
    return path


def test_numbers_that_seem_to_count_from_1_are_asked_about(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", [1, 2, 4, 3])
    error = list(scan_rows(path, Reading(kind="multiple_choice")))[-1]
    assert isinstance(error, RowError)
    assert error.forbids_version
    assert (error.code, error.line, error.params["count"]) == ("file.layout_answer_numbers", 4, 4)
    said = Reading(kind="multiple_choice", answers_from=1)
    assert [record.answer for record in scan_rows(path, said)] == [0, 1, 3, 2]
    # Of numbers that can only count from 0 the one beyond is a fault of its row.
    path = table(tmp_path / "b.csv", [0, 2, 4, 3])
    found = list(scan_rows(path, Reading(kind="multiple_choice")))
    assert [item.code for item in found if isinstance(item, RowError)] == ["row.answer_range"]


def test_a_table_has_its_choices_in_one_column_or_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\u9898\u76ee,\u9009\u9879,\u7b54\u6848\nQ,A.\u7532 B.\u4e59,\u4e59\n", "utf-8")
    (listed,) = scan_rows(path, Reading(kind="multiple_choice"))
    assert (listed.choices, listed.answer) == (("\u7532", "\u4e59"), 1)
    path.write_text("\u9898\u76ee,\u7b54\u6848\nQ,\u5bf9\nQ2,\u9519\nQ3,\u4e59\n", "utf-8")
    *judged, error = scan_rows(path, Reading(kind="multiple_choice"))
    assert [(row.choices, row.answer) for row in judged] == [
        (("\u5bf9", "\u9519"), 0),
        (("\u5bf9", "\u9519"), 1),
    ]
    assert (error.code, error.column) == ("row.field_missing", "choices")


class Warned:
    def __init__(self) -> None:
        self.warnings: list[tuple[str, str]] = []

    def warn(self, code: str, message: str) -> None:
        self.warnings.append((code, message))


def test_questions_with_several_right_choices_are_kept_and_not_scored(tmp_path: Path) -> None:
    records = list(
        scan_rows(table(tmp_path / "a.csv", ["ABD", "B"]), Reading(kind="multiple_choice"))
    )
    assert [(record.answer, record.other_answers) for record in records] == [(0, (1, 3)), (1, ())]
    path = tmp_path / "rows.parquet"
    with RowWriter(path, "multiple_choice") as rows:
        for record in records:
            rows.append(record)
    again = read_rows(DatasetRef(path=str(path), kind="multiple_choice"), MultipleChoiceItem)
    assert again == records
    context = Warned()
    assert with_one_answer(again, context) == records[1:]
    [(code, message)] = context.warnings
    assert code == "eval.several_answers"
    assert message.startswith("1 of 2 questions")
    with pytest.raises(DataError, match="all 1 questions"):
        with_one_answer(again[:1], context)
