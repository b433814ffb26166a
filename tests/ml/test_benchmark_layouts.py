"""Known benchmarks in the layouts they are published in: recognised exactly, and nothing lost."""

import json
from pathlib import Path

import pytest

from pipeline.contracts.references import DatasetKind, DatasetRef, RowFilter
from pipeline.contracts.row_error_phrases import KIND_NAMES
from pipeline.contracts.row_errors import RowError
from pipeline.data.benchmarks import subjects as known
from pipeline.data.benchmarks.file_roles import FileRole, file_role
from pipeline.data.benchmarks.layouts import OBJECT_LAYOUTS
from pipeline.data.benchmarks.scoring import scored_rows
from pipeline.data.datasets import read_rows
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import DomainItem, MultipleChoiceItem
from pipeline.errors import DataError
from tests.ml.benchmark_files import (
    AGIEVAL_CHOICES,
    AGIEVAL_CLOZE,
    ARC_AI2,
    ARC_HUB_ROWS,
    CEVAL_DEV,
    CEVAL_TEST,
    CEVAL_VAL,
    CMMLU,
    GSM8K,
    HELLASWAG,
    HELLASWAG_TEST,
    LAWBENCH,
    MMLU_BARE,
    MMLU_HEADER,
    PIQA,
    PIQA_OF_AUTHORS,
    csv_text,
    json_lines,
    write,
    write_parquet,
)

CHOICE = "multiple_choice"


def rows_of(path: Path, kind: DatasetKind = CHOICE) -> list[object]:
    return list(scan_rows(path, Reading(kind=kind)))


def items(path: Path) -> list[MultipleChoiceItem]:
    found = rows_of(path)
    assert all(isinstance(row, MultipleChoiceItem) for row in found), found
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("law_val.csv", FileRole(subject="law", split="val")),
        ("ceval-exam/dev/law_dev.csv", FileRole(subject="law", split="dev")),
        ("test/agronomy.csv", FileRole(subject="agronomy", split="test")),
        ("data/auxiliary_train/arc_easy.csv", FileRole(subject="arc_easy", split="train")),
        ("ARC-Easy/ARC-Easy-Test.jsonl", FileRole(subject="ARC-Easy", split="test")),
        ("ARC-Challenge/validation-00000-of-00001.parquet",
         FileRole(subject="ARC-Challenge", split="val")),
        ("main/train-00001-of-00002.parquet", FileRole(split="train", part=1)),
        ("grade_school_math/data/test.jsonl", FileRole(split="test")),
        ("hellaswag_val.jsonl", FileRole(subject="hellaswag", split="val")),
        ("data/v1/lsat-ar.jsonl", FileRole(subject="lsat-ar")),
        ("zero_shot/3-8.json", FileRole(subject="3-8")),
        ("题库/公司治理.csv", FileRole(subject="公司治理")),
        ("latest.csv", FileRole(subject="latest")),
    ],
)  # fmt: skip
def test_a_name_says_subject_split_and_part(name: str, role: FileRole) -> None:
    assert file_role(name) == role


def test_subjects_are_those_of_the_harness() -> None:
    """The second list of the same names: the tasks of the installed lm-evaluation-harness."""
    import lm_eval.tasks

    tasks = Path(lm_eval.tasks.__file__).parent
    for folder, prefix, subjects in (
        ("ceval", "ceval-valid_", known.CEVAL),
        ("cmmlu", "cmmlu_", known.CMMLU),
        ("mmlu/default", "mmlu_", known.MMLU),
    ):
        files = (tasks / folder).glob(f"{prefix}*.yaml")
        assert {path.stem.removeprefix(prefix) for path in files} == set(subjects)
    groups = {"STEM": "stem", "Humanities": "humanities", "Other": "other"}
    for subject, group in known.MMLU.items():
        text = (tasks / "mmlu/default" / f"mmlu_{subject}.yaml").read_text()
        assert f"mmlu_{groups.get(group, 'social_sciences')}_tasks" in text
    tables = (known.CEVAL, known.CMMLU, known.MMLU, known.LAWBENCH)
    assert [len(table) for table in tables] == [52, 67, 57, 20]


def test_ceval(tmp_path: Path) -> None:
    first, second = items(write(tmp_path / "law_val.csv", CEVAL_VAL))
    assert first == MultipleChoiceItem(
        id="val/law/0",
        lang="zh",
        question="国有资本由谁出资____",
        choices=("国家", "个人", "外商", "集体"),
        answer=0,
        meta={
            "benchmark": "C-Eval", "subject": "law", "topic_group": "Humanities",
            "file_split": "val",
        },
    )  # fmt: skip
    assert second.question == "章程由谁审议,\n并批准____"
    (example,) = items(write(tmp_path / "law_dev.csv", CEVAL_DEV))
    assert example.meta["explanation"] == "1. 因为,所以"
    assert (example.id, example.meta["file_split"]) == ("dev/law/0", "dev")


def test_a_split_without_answers_is_said_to_be_one(tmp_path: Path) -> None:
    for name, content, count in (
        ("law_test.csv", CEVAL_TEST, 2),
        ("hellaswag_test.jsonl", HELLASWAG_TEST, 1),
        ("valid.jsonl", PIQA_OF_AUTHORS, 1),
    ):
        found = rows_of(write(tmp_path / name, content))
        assert [row.code for row in found if isinstance(row, RowError)] == [
            "row.answer_withheld"
        ] * count
        assert len(found) == count
    hub = [{"id": 0, "question": "题", **dict.fromkeys("ABCD", "x"), "answer": "",
            "explanation": ""}]  # fmt: skip
    hub[0] |= {"A": "甲", "B": "乙", "C": "丙", "D": "丁"}
    (error,) = rows_of(write_parquet(tmp_path / "law/test-00000-of-00001.parquet", hub))
    assert isinstance(error, RowError)
    assert error.code == "row.required_empty"  # the folder is not known of a single file
    (error,) = rows_of(write_parquet(tmp_path / "law_test.parquet", hub))
    assert isinstance(error, RowError)
    assert (error.code, error.line, error.column) == ("row.answer_withheld", 1, "answer")
    assert "C-Eval publishes" in error.message


def test_cmmlu(tmp_path: Path) -> None:
    first, second = items(write(tmp_path / "agronomy.csv", CMMLU))
    assert (first.id, first.question, first.answer) == ("agronomy/0", "水稻属于", 0)
    assert (second.id, second.answer) == ("agronomy/1", 1)
    assert second.meta == {"benchmark": "CMMLU", "subject": "agronomy", "topic_group": "Other"}


def test_a_question_of_formulas_has_the_language_of_its_benchmark(tmp_path: Path) -> None:
    """Otherwise it would be asked in English in the middle of a Chinese exam."""
    formulas = csv_text(
        [["", "Question", "A", "B", "C", "D", "Answer"], [0, "$x^2=4$", "1", "2", "3", "4", "B"]]
    )
    (item,) = items(write(tmp_path / "college_mathematics.csv", formulas))
    assert item.lang == "zh"
    (item,) = items(write(tmp_path / "anatomy_test.csv", MMLU_HEADER))
    assert item.lang == "en"


def test_mmlu_without_a_header(tmp_path: Path) -> None:
    first, second = items(write(tmp_path / "abstract_algebra_test.csv", MMLU_BARE))
    assert (first.id, first.question) == (
        "test/abstract_algebra/line-1", "What is 2 + 3, if anything?",
    )  # fmt: skip
    assert (first.choices, first.answer) == (("4", "5", "6", "7"), 1)
    assert second.meta["topic_group"] == "STEM"
    # The same file under a name that no subject has is not guessed to be one.
    (error,) = rows_of(write(tmp_path / "questions.csv", MMLU_BARE))
    assert isinstance(error, RowError)
    assert error.code == "header.missing"


def test_mmlu_with_a_header_and_of_a_hub(tmp_path: Path) -> None:
    (item,) = items(write(tmp_path / "anatomy_test.csv", MMLU_HEADER))
    assert (item.id, item.choices, item.answer) == ("test/anatomy/line-2", ("1", "2", "3", "5"), 1)
    rows = [
        {"question": "Which is even?", "subject": "anatomy", "choices": ["1", "2"], "answer": 1}
    ]
    for path in (
        write(tmp_path / "test.jsonl", json_lines(rows)),
        write_parquet(tmp_path / "test.parquet", rows),
    ):
        (item,) = items(path)
        assert (item.answer, item.meta["benchmark"]) == (1, "MMLU")
        assert (item.meta["subject"], item.meta["topic_group"]) == ("anatomy", "STEM")


def test_arc_in_both_layouts_is_the_same(tmp_path: Path) -> None:
    ai2 = items(write(tmp_path / "ARC-Easy-Test.jsonl", ARC_AI2))
    hub = items(write_parquet(tmp_path / "a/ARC-Easy-test.parquet", ARC_HUB_ROWS))
    lines = items(write(tmp_path / "b/ARC-Easy-test.jsonl", json_lines(ARC_HUB_ROWS)))
    assert ai2 == hub == lines
    assert [item.answer for item in ai2] == [0, 1]
    assert ai2[1].choices == ("stone", "cork", "lead", "brick")
    assert ai2[0].id == "test/ARC-Easy/Made_Up_1"


def test_hellaswag_is_asked_as_the_harness_asks_it(tmp_path: Path) -> None:
    """Text and endings against the harness's own preparation of its rows."""
    from datasets import Dataset
    from lm_eval.tasks.hellaswag.utils import process_docs

    path = write(tmp_path / "hellaswag_val.jsonl", HELLASWAG)
    found = items(path)
    rows = [json.loads(line) for line in HELLASWAG.splitlines()]
    expected = process_docs(Dataset.from_list(rows))
    assert [item.question for item in found] == expected["query"]
    assert [list(item.choices) for item in found] == expected["choices"]
    assert [item.answer for item in found] == expected["gold"] == [2, 0]
    assert found[0].meta["source_id"] == "made~up"


def test_piqa(tmp_path: Path) -> None:
    first, second = items(write(tmp_path / "valid.jsonl", PIQA))
    assert first == MultipleChoiceItem(
        id="val/line-1",
        lang="en",
        question="How do I keep paper flat?",
        choices=("Put a book on it.", "Put it under a tap. "),
        answer=0,
        meta={"benchmark": "PIQA", "file_split": "val"},
    )
    assert second.answer == 1


def test_agieval(tmp_path: Path) -> None:
    path = write(tmp_path / "lsat-ar.jsonl", AGIEVAL_CHOICES)
    first, second, error = rows_of(path)
    assert isinstance(first, MultipleChoiceItem)
    assert first.question == "Three clerks share two desks.\nHow many must stand?"
    assert (first.choices, first.answer) == (("none", "one", "two", "three", "all"), 1)
    assert isinstance(second, MultipleChoiceItem)
    assert (second.answer, second.meta["other"]) == (2, {"source": "自拟"})
    assert isinstance(error, RowError)
    assert (error.code, error.line, error.params["count"]) == ("row.several_answers", 3, 2)

    cloze = write(tmp_path / "gaokao-mathcloze.jsonl", AGIEVAL_CLOZE)
    (error,) = rows_of(cloze)
    assert isinstance(error, RowError)
    assert error.code == "row.no_choices"
    (item,) = rows_of(cloze, "domain_test")
    assert isinstance(item, DomainItem)
    assert (item.instruction, item.output) == ("若 $x+1=3$，则 $x=$", "2")
    assert [getattr(row, "code", "") for row in rows_of(path, "domain_test")] == [
        "row.has_choices"
    ] * 3


def test_gsm8k(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in GSM8K.splitlines()]
    for path in (
        write(tmp_path / "test.jsonl", GSM8K),
        write_parquet(tmp_path / "test.parquet", rows),
    ):
        first, second = rows_of(path, "domain_test")
        assert isinstance(first, DomainItem)
        assert (first.id, first.output) == ("test/line-1", rows[0]["answer"])
        assert isinstance(second, DomainItem)
        assert second.meta == {"benchmark": "GSM8K", "file_split": "test"}
    broken = write(tmp_path / "b/test.jsonl", GSM8K + '{"question": "Q", "answer": "7"}\n')
    *_, error = rows_of(broken, "domain_test")
    assert isinstance(error, RowError)
    assert (error.code, error.line) == ("row.no_final_number", 3)


def test_lawbench(tmp_path: Path) -> None:
    first, second = rows_of(write(tmp_path / "3-8.json", LAWBENCH), "domain_test")
    assert isinstance(first, DomainItem)
    assert first.prompt == "请回答咨询的问题。\n合同何时成立?"
    assert first.meta == {
        "benchmark": "LawBench", "subject": "3-8", "topic_group": "applying", "metric": "ROUGE-L",
    }  # fmt: skip
    assert isinstance(second, DomainItem)
    assert second.prompt == "请背诵第一条。"


@pytest.mark.parametrize(
    ("name", "content", "kind", "expected"),
    [
        ("test.jsonl", GSM8K, CHOICE, "domain_test"),
        ("3-8.json", LAWBENCH, CHOICE, "domain_test"),
        ("law_val.jsonl", json_lines([{"id": 1, "question": "q", "A": "a", "B": "b", "C": "c",
                                       "D": "d", "answer": "A"}]), "domain_test", CHOICE),
        ("a.jsonl", ARC_AI2, "corpus", CHOICE),
        ("law_val.csv", CEVAL_VAL, "domain_test", CHOICE),
        ("agronomy.csv", CMMLU, "conversations", CHOICE),
        ("a.jsonl", HELLASWAG, "conversations", CHOICE),
    ],
)  # fmt: skip
def test_the_kind_is_corrected(
    name: str, content: str, kind: DatasetKind, expected: DatasetKind, tmp_path: Path
) -> None:
    (error,) = rows_of(write(tmp_path / name, content), kind)
    assert isinstance(error, RowError)
    assert error.code == "file.benchmark_kind"
    assert KIND_NAMES[expected] in error.hint


FILES = {
    "arc_ai2": ("a.jsonl", ARC_AI2, CHOICE),
    "arc_hub": ("a.jsonl", json_lines(ARC_HUB_ROWS), CHOICE),
    "hellaswag": ("a.jsonl", HELLASWAG, CHOICE),
    "piqa": ("a.jsonl", PIQA, CHOICE),
    "agieval": ("a.jsonl", AGIEVAL_CHOICES.splitlines()[0] + "\n", CHOICE),
    "gsm8k": ("a.jsonl", GSM8K, "domain_test"),
    "lawbench": ("1-1.jsonl", json_lines(json.loads(LAWBENCH)), "domain_test"),
    "ceval_hub": (
        "law_val.jsonl",
        json_lines([{"id": 1, "question": "q", "A": "a", "B": "b", "C": "c", "D": "d",
                     "answer": "A", "explanation": ""}]),
        CHOICE,
    ),
    "cmmlu_hub": (
        "arts_test.jsonl",
        json_lines([{"Question": "q", "A": "a", "B": "b", "C": "c", "D": "d", "Answer": "D"}]),
        CHOICE,
    ),
    "mmlu_hub": (
        "a.jsonl",
        json_lines([{"question": "q", "subject": "virology", "choices": ["a", "b"], "answer": 0}]),
        CHOICE,
    ),
}  # fmt: skip


def test_every_layout_has_a_file_here() -> None:
    assert FILES.keys() == {layout.key for layout in OBJECT_LAYOUTS}


@pytest.mark.parametrize("key", FILES)
def test_a_row_with_other_fields_is_named_and_the_rest_is_kept(key: str, tmp_path: Path) -> None:
    """Every required field is dropped once, and one field is added, in the middle of a file."""
    name, content, kind = FILES[key]
    good = content.splitlines()
    row = json.loads(good[0])
    layout = next(layout for layout in OBJECT_LAYOUTS if layout.key == key)
    broken = [{k: v for k, v in row.items() if k != field} for field in sorted(layout.required)]
    broken.append({**row, "not_of_the_layout": 1})
    lines = [*good, *(json.dumps(row) for row in broken), "not json"]
    rows = rows_of(write(tmp_path / name, "\n".join(lines) + "\n"), kind)
    assert len(rows) == len(lines)
    assert not any(isinstance(row, RowError) for row in rows[: len(good)])
    found = [(row.code, row.line) for row in rows[len(good) :] if isinstance(row, RowError)]
    assert found == [
        *(("row.layout", len(good) + index) for index in range(1, len(broken) + 1)),
        ("json.syntax", len(lines)),
    ]


@pytest.mark.parametrize("key", FILES)
@pytest.mark.parametrize("value", [None, "", 7, True, [], {}, ["x", 1], {"x": [1]}, "\x00"])
def test_any_value_in_any_field_is_a_row_or_an_error(
    key: str, value: object, tmp_path: Path
) -> None:
    name, content, kind = FILES[key]
    first = content.splitlines()[0]
    row = json.loads(first)
    lines = [first, *(json.dumps({**row, field: value}) for field in row)]
    rows = rows_of(write(tmp_path / name, "\n".join(lines) + "\n"), kind)
    assert len(rows) == len(lines)
    for line in lines:  # and where it is the row that decides
        rows += rows_of(write(tmp_path / "alone" / name, line), kind)
    assert len(rows) == 2 * len(lines)
    for found in rows:
        if isinstance(found, RowError):
            assert found.message
            assert found.hint


def test_a_broken_first_row_does_not_decide(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"id": "x"}\nnot json\n' + ARC_AI2)
    rows = rows_of(path)
    assert [getattr(row, "code", "") for row in rows] == ["row.layout", "json.syntax", "", ""]


def test_people_may_write_the_same_columns_themselves(tmp_path: Path) -> None:
    """A table of one's own stays what it was, ids and all."""
    (item,) = items(write(tmp_path / "内部测试.csv", MMLU_HEADER))
    assert (item.id, item.meta) == ("line-2", {})
    first, _ = items(write(tmp_path / "公司考试.csv", CEVAL_VAL))
    assert (first.id, first.meta) == ("0", {})
    # With a mapping a person says what the columns are, so nothing is recognised.
    path = write(tmp_path / "law_val.csv", CEVAL_VAL)
    row = next(scan_rows(path, Reading(kind=CHOICE, columns={"id": "meta.no"})))
    assert isinstance(row, MultipleChoiceItem)
    assert row.meta == {"no": "0"}


def test_examples_are_kept_apart_from_what_is_scored(tmp_path: Path) -> None:
    rows = [*items(write(tmp_path / "law_dev.csv", CEVAL_DEV)),
            *items(write(tmp_path / "law_val.csv", CEVAL_VAL))]  # fmt: skip
    assert [item.id for item in scored_rows(rows)] == ["val/law/0", "val/law/1"]
    mmlu = [
        *items(write(tmp_path / "anatomy_val.csv", MMLU_HEADER)),
        *items(write(tmp_path / "anatomy_test.csv", MMLU_HEADER)),
    ]
    assert [item.id for item in scored_rows(mmlu)] == ["test/anatomy/line-2"]
    # C-Eval's validation rows are scored beside MMLU's test rows.
    assert len(scored_rows([*rows, *mmlu])) == 3
    dev = DatasetRef(path=str(tmp_path / "law_dev.csv"), kind=CHOICE)
    assert len(read_rows(dev, MultipleChoiceItem)) == 1
    with pytest.raises(DataError, match="few-shot examples") as caught:
        read_rows(dev, MultipleChoiceItem, to_be_scored=True)
    assert caught.value.code == "data.empty"
    chosen = dev.model_copy(
        update={"where": (RowFilter(field="meta.file_split", values=("dev",)),)}
    )
    assert len(read_rows(chosen, MultipleChoiceItem, to_be_scored=True)) == 1
