"""Ids, languages and signs of damage: what a row says of itself is taken, and nothing collides."""

import json
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.row_errors import RowError
from pipeline.data import line_ids
from pipeline.data.languages import language_code
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.version_files import RowWriter

EXCHANGE = {"instruction": "Q", "output": "A"}
WRITTEN = st.one_of(st.none(), st.integers(1, 8).map(lambda n: f"line-{n}"), st.just("line-1-2"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ids")


@settings(max_examples=40)
@given(
    st.lists(WRITTEN, min_size=1, max_size=8, unique_by=lambda i: i or object()),
    st.sampled_from(["lines", "list"]),
    st.sampled_from([8, 1 << 20]),
)
def test_generated_ids_never_meet_written_ones(directory: Path, ids, shape: str, size: int) -> None:
    rows = [{**EXCHANGE, "id": i} if i else EXCHANGE for i in ids]
    path = directory / "a.json"
    path.write_text("\n".join(map(json.dumps, rows)) if shape == "lines" else json.dumps(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_ids, "_CHUNK_BYTES", size)
        records = list(scan_rows(path, Reading(kind="domain_test")))
    assert not any(isinstance(record, RowError) for record in records), records
    assert len({record.id for record in records}) == len(rows)
    for line, (record, written) in enumerate(zip(records, ids, strict=True), start=1):
        assert written is None or record.id == written
        if (
            shape == "lines"
            and written is None
            and f"line-{line}" not in ids
            and "line-1-2" not in ids
        ):
            assert record.id == f"line-{line}"


def test_ids_of_workbooks_are_looked_through(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for cells in (["id", "question", "answer"], ["", "Q", "A"], ["line-2", "Q", "A"]):
        book.active.append(cells)
    book.save(tmp_path / "a.xlsx")
    first, second = scan_rows(tmp_path / "a.xlsx", Reading(kind="domain_test"))
    assert (first.id, second.id) == ("line-1000000002", "line-2")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            '{"id": 1234567890123456789012, "instruction": "Q", "output": "A"}',
            "1234567890123456789012",
        ),
        (
            '{"id": -1234567890123456789012, "instruction": "Q", "output": "A"}',
            "-1234567890123456789012",
        ),
        (
            '{"id": "a", "x": 1234567890123456789012, "instruction": "Q", "output": "A"}',
            "json.number",
        ),
        ('{"id": [1234567890123456789012], "instruction": "Q", "output": "A"}', "json.number"),
        (
            '{"id": 1234567890123456789012, "y": 1e999, "instruction": "Q", "output": "A"}',
            "json.number",
        ),
    ],
)
@pytest.mark.parametrize("shape", ["%s", "[%s]"])
def test_long_numbers_are_names_where_they_are_ids(tmp_path: Path, line, found, shape) -> None:
    path = tmp_path / "a.json"
    path.write_text(shape % line)
    (item,) = scan_rows(path, Reading(kind="domain_test"))
    assert (item.code if isinstance(item, RowError) else item.id) == found


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("zh", "zh ZH zh-CN zh_Hans zh-Hant-TW ZH_cn cn chinese \u4e2d\u6587 \u6c49\u8bed"),
        ("zh", "\u7b80\u4f53\u4e2d\u6587 \u4e2d\u6587\uff08\u7b80\u4f53\uff09"),
        ("en", "en EN en-US en_GB English ENG \u82f1\u6587 \u82f1\u8bed"),
        (None, "fr de \u65e5\u8bed english-zh zhongwen -"),
    ],
)
def test_names_of_languages(code: str | None, names: str) -> None:
    assert {name: language_code(name) for name in names.split()} == dict.fromkeys(
        names.split(), code
    )


def test_signs_of_damage_are_refused_unless_a_person_accepts_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    sign = "\u951f\u65a4\u62f7"
    rows = [
        {"instruction": f"{sign}?", "output": "A"},
        {**EXCHANGE, "meta": {"notes": ["\ufffd"]}},
        {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": sign}]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    errors = list(scan_rows(path, Reading(kind="domain_test")))
    assert [(error.code, error.column) for error in errors] == [
        ("row.mojibake", "instruction"),
        ("row.mojibake", "meta.notes.0"),
        ("row.mojibake", "messages.1.content"),
    ]
    kept = list(scan_rows(path, Reading(kind="domain_test", accept=("row.mojibake",))))
    assert kept[0].instruction == f"{sign}?"
    # What was accepted once is in the version, and a version is always read.
    version = tmp_path / "rows.parquet"
    with RowWriter(version, "domain_test") as writer:
        for record in kept:
            writer.append(record)
    assert list(scan_rows(version, Reading(kind="domain_test"))) == kept
