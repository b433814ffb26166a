"""The readers on good files: every kind, layout and format."""

import json
from collections.abc import Iterable
from pathlib import Path

import openpyxl
import pytest

from pipeline.contracts.references import DatasetRef
from pipeline.contracts.row_errors import RowError
from pipeline.data.datasets import read_rows
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import (
    RECORD_TYPES,
    Conversation,
    Document,
    DomainItem,
    Message,
    MultipleChoiceItem,
)

DEMO = Path(__file__).parents[2] / "examples" / "soae_demo"
DEMO_FILES = {
    "corpus_domain": ("corpus", 112),
    "corpus_general": ("corpus", 80),
    "sft_weak": ("conversations", 240),
    "sft_expert": ("domain_test", 384),
    "domain_test": ("domain_test", 96),
    "unseen_questions": ("domain_test", 58),
    "general_mcq": ("multiple_choice", 256),
}


def write_lines(path: Path, rows: Iterable[object], encoding: str = "utf-8") -> Path:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(text.encode(encoding))
    return path


def item(index: int = 0, **changes: object) -> dict[str, object]:
    row = {"id": f"a{index}", "lang": "en", "instruction": "Q?", "input": "", "output": "A."}
    return {**row, **changes}


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("stem", DEMO_FILES)
def test_every_demo_row_is_valid(stem: str, lang: str) -> None:
    kind, count = DEMO_FILES[stem]
    path = DEMO / f"{stem}.{lang}.jsonl"
    records = read_rows(DatasetRef(path=str(path), kind=kind), RECORD_TYPES[kind])
    assert len(records) == count
    assert {record.lang for record in records} == {lang}
    assert {record.license for record in records} == {"CC0-1.0"}


def test_demo_rows_are_twins_and_the_splits_exist() -> None:
    for stem in DEMO_FILES:
        ids = []
        for lang in ("en", "zh"):
            lines = (DEMO / f"{stem}.{lang}.jsonl").read_text("utf-8").splitlines()
            ids.append([json.loads(line)["id"].removesuffix(f"-{lang}") for line in lines])
        assert ids[0] == ids[1]
    splits = json.loads((DEMO / "splits.json").read_text())
    documents = read_rows(
        DatasetRef(path=str(DEMO / "corpus_domain.en.jsonl"), kind="corpus"), Document
    )
    unseen = {f"{stem}-en" for stem in splits["unseen_documents"]}
    topics = [record.meta["topic"] for record in documents if record.id in unseen]
    assert len(topics) == 16
    assert all(topics.count(topic) == 2 for topic in topics)
    tests = read_rows(
        DatasetRef(path=str(DEMO / "domain_test.en.jsonl"), kind="domain_test"), DomainItem
    )
    assert sum(record.meta["doc_id"] in unseen for record in tests) == 22
    assert not set(splits["replay_topic_groups"]) & set(splits["retention_topic_groups"])


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_unseen_questions_are_those_on_unseen_documents(lang: str) -> None:
    """Byte for byte, the test's first."""
    splits = json.loads((DEMO / "splits.json").read_text())
    unseen = {f"{stem}-{lang}" for stem in splits["unseen_documents"]}
    chosen = [
        line
        for stem in ("domain_test", "sft_expert")
        for line in (DEMO / f"{stem}.{lang}.jsonl").read_bytes().splitlines(keepends=True)
        if json.loads(line)["meta"].get("doc_id") in unseen
    ]
    assert (DEMO / f"unseen_questions.{lang}.jsonl").read_bytes() == b"".join(chosen)


def test_domain_item_becomes_one_exchange() -> None:
    record = DomainItem(id="1", lang="en", instruction="Why?", input="Facts.", output="Because.")
    assert record.to_messages() == (
        Message(role="user", content="Why?\n\nFacts."),
        Message(role="assistant", content="Because."),
    )
    bare = DomainItem(id="1", lang="en", instruction="Why?", input="", output="Because.")
    assert bare.prompt == "Why?"


def test_text_is_kept_exactly(tmp_path: Path) -> None:
    text = "  =1+1\u2028\u00e9 e\u0301 \ufeff \U0001f600 <|im_end|> {x} %s\t"
    path = write_lines(tmp_path / "a.jsonl", [{"id": "1", "text": text}])
    (record,) = scan_rows(path, Reading(kind="corpus"))
    assert isinstance(record, Document)
    assert record.text == text


def test_fields_without_a_place_go_to_meta(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [item(meta={"doc_id": "d1"}, reviewer="Li", score=3)])
    (record,) = scan_rows(path, Reading(kind="domain_test"))
    assert record.meta == {"reviewer": "Li", "score": 3, "doc_id": "d1"}


def test_missing_id_and_language_are_derived(tmp_path: Path) -> None:
    rows = [{"text": "State capital."}, {"text": "\u56fd\u6709\u8d44\u672c SASAC"}]
    first, second = scan_rows(write_lines(tmp_path / "a.jsonl", rows), Reading(kind="corpus"))
    assert (first.id, first.lang) == ("line-1", "en")
    assert (second.id, second.lang) == ("line-2", "zh")


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
        {"instruction": "Q", "input": "", "output": "A"},
    ],
)
def test_conversation_layouts_give_the_same_turns(tmp_path: Path, row: dict[str, object]) -> None:
    (record,) = scan_rows(write_lines(tmp_path / "a.jsonl", [row]), Reading(kind="conversations"))
    assert isinstance(record, Conversation)
    assert record.messages == (
        Message(role="user", content="Q"),
        Message(role="assistant", content="A"),
    )
    assert record.meta == {}


def test_alpaca_history_and_sharegpt_system_become_turns(tmp_path: Path) -> None:
    rows = [
        {
            "instruction": "Q2",
            "input": "I",
            "output": "A2",
            "history": [["Q1", "A1"]],
            "system": "S",
        },
        {
            "system": "S",
            "conversations": [{"from": "human", "value": "Q1"}, {"from": "gpt", "value": "A1"}],
        },
    ]
    alpaca, sharegpt = scan_rows(
        write_lines(tmp_path / "a.jsonl", rows), Reading(kind="conversations")
    )
    assert [turn.content for turn in alpaca.messages] == ["S", "Q1", "A1", "Q2\n\nI", "A2"]
    assert [turn.role for turn in sharegpt.messages] == ["system", "user", "assistant"]


def test_multiple_choice_accepts_letters(tmp_path: Path) -> None:
    rows = [
        {"question": "Q", "choices": ["x", "y"], "answer": 1},
        {"question": "Q", "A": "x", "B": "y", "C": "", "D": "", "answer": "B"},
    ]
    for record in scan_rows(
        write_lines(tmp_path / "a.jsonl", rows), Reading(kind="multiple_choice")
    ):
        assert isinstance(record, MultipleChoiceItem)
        assert (record.choices, record.answer, record.meta) == (("x", "y"), 1, {})


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "upload"])
def test_json_array_streams_across_its_buffer(
    tmp_path: Path, name: str, indent: int | None
) -> None:
    rows = [item(i, output="x" * (i * 997 % 9000 + 1)) for i in range(60)]
    path = tmp_path / name
    path.write_text(json.dumps(rows, indent=indent))
    records = list(scan_rows(path, Reading(kind="domain_test")))
    assert [len(record.output) for record in records] == [len(row["output"]) for row in rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_encoding_is_detected_and_never_guessed_per_row(tmp_path: Path, encoding: str) -> None:
    rows = [item(i, output="\u56fd\u6709\u4f01\u4e1a\U00020000") for i in range(3)]
    path = write_lines(tmp_path / "a.jsonl", rows, encoding)
    assert [r.output for r in scan_rows(path, Reading(kind="domain_test"))] == [
        r["output"] for r in rows
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_chinese_headers_quotes_and_line_breaks(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    header = delimiter.join(["\u7f16\u53f7", "\u95ee\u9898", "\u7b54\u6848", "\u90e8\u95e8"])
    body = delimiter.join(["7", "Q", f'"A1{delimiter}\nA2 ""q"""', "\u98ce\u63a7"])
    path.write_bytes(f"{header}\r\n{body}\r\n\r\n8{delimiter}Q{delimiter}A{delimiter}\r\n".encode())
    first, second = scan_rows(path, Reading(kind="domain_test"))
    assert first.output == f'A1{delimiter}\nA2 "q"'
    assert first.meta == {"\u90e8\u95e8": "\u98ce\u63a7"}
    assert (first.id, second.id, second.meta) == ("7", "8", {})


def test_csv_mapping_goes_before_aliases(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("q,question,gold,junk\nQ,K,A,z\n")
    mapping = {"q": "instruction", "question": "meta.kind", "gold": "output", "junk": "ignore"}
    (record,) = scan_rows(path, Reading(kind="domain_test", columns=mapping))
    assert (record.instruction, record.output, record.meta) == ("Q", "A", {"kind": "K"})


def test_csv_of_choices(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question,A,B,C,answer,subject\nQ,x,y,z,C,law\n")
    (record,) = scan_rows(path, Reading(kind="multiple_choice"))
    assert (record.choices, record.answer, record.meta) == (("x", "y", "z"), 2, {"subject": "law"})


def test_xlsx_rows_are_text_and_hidden_sheets_are_not_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (
        ["id", "\u95ee\u9898", "\u7b54\u6848", "year"],
        [1, "Q", "=x", 2024],
        [],
        [2, "Q", "A", 1.5],
    ):
        book.active.append(row)
    book.active["C2"].data_type = "s"
    notes = book.create_sheet("notes")
    notes.append(["hidden"])
    notes.sheet_state = "hidden"
    with (tmp_path / "upload").open("wb") as file:  # the content decides, not the name
        book.save(file)
    first, second = scan_rows(tmp_path / "upload", Reading(kind="domain_test"))
    assert (first.id, first.output, first.meta) == ("1", "=x", {"year": "2024"})
    assert second.meta == {"year": "1.5"}


def test_reader_yields_while_it_reads(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [item(i) for i in range(3)])
    with path.open("ab") as file:
        file.write(b"{broken\n")
    rows = scan_rows(path, Reading(kind="domain_test"))
    assert not isinstance(next(rows), RowError)
    assert [isinstance(row, RowError) for row in rows] == [False, False, True]
