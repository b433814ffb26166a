"""JSON files in which rows do not stand one on each line give the same rows, or one sentence."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.row_errors import RowError
from pipeline.data import json_window
from pipeline.data.import_sources import source_data
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Conversation, DomainItem

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd"), max_size=20).map(
    lambda text: f"Q{text}"
)
META = st.one_of(st.integers(-9, 9), st.lists(st.fixed_dictionaries({"a": TEXTS}), max_size=2))
ROWS = st.lists(
    st.fixed_dictionaries({"instruction": TEXTS, "output": TEXTS, "x": META}),
    min_size=1,
    max_size=6,
)
SHAPES = {
    "lines": lambda rows, dump: "\n".join(json.dumps(row) for row in rows),
    "lines with commas": lambda rows, dump: ",\n".join(json.dumps(row) for row in rows) + ",\n",
    "list": lambda rows, dump: dump(rows),
    "one after another": lambda rows, dump: "\n".join(map(dump, rows)),
    "with commas": lambda rows, dump: ",\n".join(map(dump, rows)),
    "wrapped": lambda rows, dump: dump({"data": rows}),
    "wrapped, with more": lambda rows, dump: dump({"code": 0, "Rows": rows, "total": [1, {}]}),
    "wrapped by any name": lambda rows, dump: dump({"questions of 2024": rows}),
    "wrapped in parts": lambda rows, dump: "\n".join(dump({"items": [row]}) for row in rows),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("json") / "a.json"


@settings(max_examples=60)
@given(
    ROWS,
    st.sampled_from(sorted(SHAPES)),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.sampled_from([7, 1 << 16]),
)
def test_every_shape_gives_the_same_rows(path: Path, rows, shape, indent, is_ascii, size) -> None:
    def dump(value: object) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=is_ascii)

    path.write_text(SHAPES[shape](rows, dump), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_window, "_READ_CHARS", size)
        # Made-up texts may hold the very signs that tell of a wrong conversion.
        reading = Reading(kind="domain_test", accept=("row.mojibake",))
        records = list(scan_rows(path, reading))
    assert all(isinstance(record, DomainItem) for record in records), records
    found = [(record.instruction, record.output, record.meta["x"]) for record in records]
    assert found == [(row["instruction"], row["output"], row["x"]) for row in rows]
    assert len({record.id for record in records}) == len(rows)


TURNS = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
SHAREGPT = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]


@pytest.mark.parametrize("turns", [TURNS, SHAREGPT])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_of_turns_is_a_conversation(path: Path, turns, indent) -> None:
    def dump(value: object) -> str:
        return json.dumps(value, indent=indent)

    for text in (
        f"{dump(turns)}\n{dump(turns)}\n",
        dump([turns, turns]),
        dump([{"messages": turns}, turns]),
        dump({"data": [turns, turns]}),
    ):
        path.write_text(text)
        records = list(scan_rows(path, Reading(kind="conversations")))
        assert [type(record) for record in records] == [Conversation, Conversation], text
        assert [turn.content for turn in records[1].messages] == ["Q", "A"]


ROW = {"instruction": "Q", "output": "A"}
INFO = {"mine": {"file_name": "a.json", "columns": {"prompt": "q"}}, "hub": {"hf_hub_url": "x/y"}}


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        ([], ["file.empty"]),
        ({"data": []}, ["file.empty"]),
        ([["Q", "A"], ["Q", "A"]], ["file.json_not_objects"]),
        (["Q", "A"], ["file.json_not_objects"]),
        (["Q"], ["json.not_object"]),
        ([1, ROW], ["json.not_object"]),
        ({"a": ROW, "b": ROW}, ["file.json_nested"]),
        ({"instruction": {"0": "Q"}, "output": {"0": "A"}}, ["file.json_nested"]),
        (INFO, ["file.dataset_info"]),
        ({"train": [ROW], "test": [ROW]}, ["file.layout_several_lists"]),
        ({"data": {"rows": [ROW]}}, ["file.json_nested"]),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_one_cause_is_one_error(path: Path, value: object, codes: list[str], indent) -> None:
    path.write_text(json.dumps(value, indent=indent))
    found = list(scan_rows(path, Reading(kind="domain_test")))
    assert [item.code for item in found if not isinstance(item, DomainItem)] == codes


def test_a_broken_first_line_does_not_make_the_others_one_value(path: Path) -> None:
    good = json.dumps(ROW)
    for broken in (
        '{"instruction": "Q", "output": "A"',
        '{"instruction": "Q",',
        '{"a": [',
        "{",
        "[1",
    ):
        path.with_suffix(".jsonl").write_text(f"{broken}\n{good}\n{good}\n")
        records = list(scan_rows(path.with_suffix(".jsonl"), Reading(kind="domain_test")))
        assert [type(record).__name__ for record in records[1:]] == ["DomainItem"] * 2, broken


def test_a_long_list_inside_an_object_is_read_as_a_stream(path: Path, monkeypatch) -> None:
    row = json.dumps({**ROW, "output": "A" * 10_000})
    path.write_text('{"version": "1", "data": [' + ", ".join([row] * 300) + '], "n": 300}')
    assert len(list(scan_rows(path, Reading(kind="domain_test")))) == 300


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("size", [1, 200_000])
def test_damage_in_a_list_costs_its_row(encoding: str, size: int, tmp_path: Path) -> None:
    rows = [{"instruction": f"\u56fd\u4f01{i}", "output": "\u76d1\u7ba1" * size} for i in range(5)]
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    content = text.encode(encoding).replace("\u4f012".encode(encoding), b"\xff2")
    (tmp_path / "a.json").write_bytes(content)
    found = list(scan_rows(tmp_path / "a.json", Reading(kind="domain_test", encoding="auto")))
    assert [isinstance(row, RowError) for row in found] == [False, False, True, False, False]
    line = text.count("\n", 0, text.index("\u4f012"))
    assert (found[2].code, found[2].line) == ("row.encoding_in_row", line)
    row = text.split("\n", line - 1)[-1].lstrip().encode(encoding)
    assert found[2].params["byte"] == row.index("\u4f012".encode(encoding)) + 1


def test_bytes_that_are_no_text_from_the_first_on(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"instruction": "\xff", "output": "A"}]')
    for encoding in ("utf-8", "gb18030"):
        reading = Reading(kind="domain_test", encoding=encoding)
        (error,) = scan_rows(path, reading)
        assert isinstance(error, RowError)
        assert (error.code, error.params["byte"]) == ("row.encoding_in_row", 18)
    # What a person has not said and nobody can know is asked, once.
    (asked,) = scan_rows(path, Reading(kind="domain_test"))
    assert isinstance(asked, RowError)
    source = source_data(path, name="a.json", reading=Reading(kind="domain_test"))
    assert source.columns() == []
