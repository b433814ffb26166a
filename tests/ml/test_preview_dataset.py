"""A look at a file: it shows what an import with the same options stores, and how to change it."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.contracts.preview_dataset import PreviewDatasetResults, shape_of
from pipeline.contracts.specs import parse_run_spec
from pipeline.contracts.stored_rows import row_texts
from pipeline.data.preview_rows import MAX_CHARS, MAX_TEXT_CHARS
from pipeline.errors import DataError
from pipeline.execution import RunContext
from pipeline.recipes import import_dataset, preview_dataset


def spec_for(path: Path, run: str, **fields: Any) -> Any:
    document = {
        "kind": run,
        "source": {"path": str(path)},
        "file_name": path.name,
        "dataset_kind": "domain_test",
        **fields,
    }
    return parse_run_spec(json.dumps(document))


def preview(path: Path, context: RunContext, **fields: Any) -> PreviewDatasetResults:
    result = preview_dataset.run(spec_for(path, "preview_dataset", **fields), context)
    assert result.outputs == {}
    assert isinstance(result.results, PreviewDatasetResults)
    return result.results


def shown(found: PreviewDatasetResults) -> list[dict[str, str]]:
    return [{name: text.text for name, text in row.fields.items()} for row in found.rows]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


CELLS = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "Zs"), exclude_characters="\ufffd"),
    max_size=30,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8),
    encoding=st.sampled_from(["utf-8", "gb18030"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
)
def test_it_shows_what_an_import_stores(tmp_path, context, rows, encoding, delimiter) -> None:
    table = io.StringIO()
    csv.writer(table, delimiter=delimiter).writerows([("问题", "答案", "备注"), *rows])
    path = write(tmp_path / "table.csv", table.getvalue().encode(encoding))
    options = {"encoding": encoding, "delimiter": delimiter}
    found = preview(path, context, **options)
    result = import_dataset.run(
        spec_for(path, "import_dataset", policy="valid_rows", **options), context
    )
    stored = []
    if "dataset" in result.outputs:
        stored = [row_texts(row) for row in pq.read_table(result.outputs["dataset"]).to_pylist()]
    assert shown(found) == stored
    assert len(found.errors) == result.results.num_rejected
    errors = []
    if "errors" in result.outputs:
        errors = pq.read_table(result.outputs["errors"]).to_pylist()
    assert [(e.line, e.code) for e in found.errors] == [(e["line"], e["code"]) for e in errors]


def test_columns_are_shown_by_position_with_their_meaning_and_examples(tmp_path, context) -> None:
    path = write(tmp_path / "a.csv", "问题,备注,备注,\nQ1,甲,,丁\nQ2,乙,丙,\n")
    found = preview(path, context)
    assert [(c.position, c.name, c.samples) for c in found.columns] == [
        (1, "问题", ("Q1", "Q2")),
        (2, "备注", ("甲", "乙")),
        (3, "备注", ("丙",)),
        (4, "", ("丁",)),
    ]
    assert found.columns[0].field == "instruction"
    # The file cannot be read so; its columns are there all the same, to be given a meaning.
    assert [error.code for error in found.errors] == ["header.missing"]
    mapped = preview(path, context, columns_at={2: "output", 3: "ignore", 4: "meta.x"})
    assert shown(mapped)[0] == {
        "id": "line-2", "lang": "zh", "instruction": "Q1", "output": "甲", "meta.x": "丁",
    }  # fmt: skip
    assert mapped.columns_at == {2: "output", 3: "ignore", 4: "meta.x"}


@pytest.mark.parametrize(
    ("content", "encoding", "reasons"),
    [
        ("问题,答案\n国有资产监督,甲\n", "utf-8", ("valid", "names_columns", "names_columns")),
        ("sep=;\n问题;答案\n国有资产监督;甲\n", "utf-8", ("valid", "separator_line", None)),
        ("标题\n问题|答案\n国有资产监督|甲\n", "gb18030", ("plausible", None, "names_columns")),
    ],
)
def test_it_says_why_a_table_is_read_so(tmp_path, context, content, encoding, reasons) -> None:
    found = preview(write(tmp_path / "a.csv", content.encode(encoding)), context)
    assert (found.encoding, found.errors) == (encoding, ())
    codes = dict(zip(("encoding", "delimiter", "header_row"), reasons, strict=True))
    for aspect, reason in codes.items():
        assert reason is None or found.reasons[aspect].code == f"{aspect}.{reason}"
    assert found.header_row == content.splitlines().index(
        next(line for line in content.splitlines() if "问题" in line)
    ) + 1  # fmt: skip
    # What was found is what is in force when it is said.
    said = {"encoding": encoding, "delimiter": found.delimiter, "header_row": found.header_row}
    again = preview(tmp_path / "a.csv", context, **said)
    assert again.rows == found.rows
    assert {reason.code.split(".")[1] for reason in again.reasons.values()} == {"chosen"}


def test_text_that_is_probably_big5_is_asked_about_and_read_when_chosen(tmp_path, context) -> None:
    text = "問題,答案\n" + "".join(
        f"國有資產監督管理第{n}項規定是什麼,依法監管\n" for n in range(30)
    )
    path = write(tmp_path / "a.csv", text.encode("big5"))
    found = preview(path, context)
    assert found.rows == ()
    assert (found.reasons["encoding"].code, found.reasons["encoding"].params) == (
        "encoding.probably", {"name": "Big5"},
    )  # fmt: skip
    chosen = preview(path, context, encoding="big5", columns_at={1: "instruction", 2: "output"})
    assert shown(chosen)[0]["instruction"] == "國有資產監督管理第0項規定是什麼"


def test_keys_of_json_rows_are_shown(tmp_path, context) -> None:
    path = write(
        tmp_path / "a.jsonl", '{"instruction": "Q", "output": "A", "score": 2}\n{"note": [1]}\n'
    )
    found = preview(path, context)
    assert [(c.position, c.name, c.field, c.samples) for c in found.columns] == [
        (None, "instruction", "instruction", ("Q",)),
        (None, "output", "output", ("A",)),
        (None, "score", "meta.score", ("2",)),
        (None, "note", "meta.note", ("[1]",)),
    ]
    assert shown(found)[0]["meta.score"] == "2"
    assert [(error.code, error.line) for error in found.errors] == [("row.field_missing", 2)]


def test_a_mapping_saved_for_the_shape_is_used_and_said(tmp_path, context) -> None:
    path = write(tmp_path / "a.csv", "问题, 备注\nQ,A\n")
    saved = {"shape": shape_of(["问题", "备注"]), "columns_at": {2: "output"}}
    other = {"shape": shape_of(["问题", "答案"]), "columns_at": {1: "ignore"}}
    found = preview(path, context, saved_mappings=[other, saved])
    assert found.is_saved_mapping
    assert found.columns_at == {2: "output"}
    assert shown(found)[0]["output"] == "A"
    # What a person says now goes before what was said then.
    found = preview(path, context, columns_at={1: "output"}, saved_mappings=[saved])
    assert not found.is_saved_mapping
    assert found.columns_at == {1: "output"}


def test_an_archive_shows_its_members_and_their_first_rows(tmp_path, context) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("b.csv", "问题,答案\nQ2,A2\n")
        packed.writestr("a.csv", "问题,答案\nQ1,A1\nQ,\n")
        packed.writestr("README.md", "x")
    found = preview(tmp_path / "a.zip", context)
    assert (found.format, found.members, found.num_members) == ("zip", ("a.csv", "b.csv"), 2)
    assert found.not_read == ("README.md",)
    assert [row["instruction"] for row in shown(found)] == ["Q1", "Q2"]
    assert [(error.file, error.line) for error in found.errors] == [("a.csv", 3)]


@pytest.mark.parametrize("kind", ["xlsx", "pdf"])
def test_what_is_wrong_with_a_file_is_a_result(tmp_path, context, kind) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "pdf":
        write(path, b"%PDF-1.7 x")
    else:
        book = openpyxl.Workbook()
        book.active.append(["a", "b"])
        book.save(path)
    found = preview(path, context)
    assert found.rows == ()
    assert found.errors[0].is_about_file


def test_a_workbook_shows_its_sheets_and_what_changes_in_its_cells(tmp_path, context) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "\u95ee\u7b54"
    for row in (["2024 \u5e74\u95ee\u7b54"], ["\u95ee\u9898", "\u7b54\u6848"], ["Q", 0.125]):
        sheet.append(row)
    sheet["B3"].number_format = "0.0%"
    book.create_sheet("more").append(["x"])
    hidden = book.create_sheet("hidden")
    hidden.append(["x"])
    hidden.sheet_state = "hidden"
    path = tmp_path / "a.xlsx"
    book.save(path)
    asked = preview(path, context)
    assert [(s.name, s.is_visible, s.is_read) for s in asked.sheets] == [
        ("\u95ee\u7b54", True, False), ("more", True, False), ("hidden", False, False),
    ]  # fmt: skip
    assert asked.reasons["sheets"].code == "sheets.ask"
    assert [error.code for error in asked.errors] == ["file.sheet_choice"]
    found = preview(path, context, sheets=["\u95ee\u7b54"])
    assert shown(found)[0]["output"] == "12.5%"
    assert (found.header_row, found.reasons["header_row"].code) == (2, "header_row.found")
    assert [note.code for note in found.notes] == [
        "workbook.hidden_sheets", "workbook.other_sheets", "sheet.rows_above", "sheet.as_shown",
    ]  # fmt: skip
    assert [s.name for s in found.sheets if s.is_read] == ["\u95ee\u7b54"]
    # An import says the same of all rows.
    spec = spec_for(path, "import_dataset", sheets=["\u95ee\u7b54"])
    notes = import_dataset.run(spec, context).results.source.notes
    assert sorted(note.code for note in notes) == sorted(note.code for note in found.notes)


def test_the_report_stays_small_whatever_the_rows_hold(tmp_path, context) -> None:
    wide = {f"key{number}": "长" * 5000 for number in range(300)}
    rows = [{"instruction": "Q" * 200_000, "output": "A", **wide} for _ in range(30)]
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows))
    found = preview(path, context)
    first = found.rows[0].fields["instruction"]
    assert (len(first.text), first.num_chars) == (MAX_TEXT_CHARS, 200_000)
    assert sum(len(t.text) for row in found.rows for t in row.fields.values()) <= (
        MAX_CHARS + MAX_TEXT_CHARS
    )


def test_an_upload_that_is_gone_fails_the_run(tmp_path, context) -> None:
    with pytest.raises(DataError) as caught:
        preview(tmp_path / "gone.csv", context)
    assert caught.value.code == "data.not_found"
