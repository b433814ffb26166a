"""The import of a data file: what is kept, what is reported, and that the version reads back."""

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest

from pipeline.contracts.dataset_manifest import DatasetManifest
from pipeline.contracts.events import Progress
from pipeline.contracts.references import DatasetRef
from pipeline.contracts.row_errors import ROW_ERROR_TEXTS
from pipeline.contracts.specs import parse_run_spec
from pipeline.data.datasets import read_rows
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import RECORD_TYPES, Conversation
from pipeline.data.version_files import GROUP_ROWS
from pipeline.errors import DataError, StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext
from pipeline.recipes import import_dataset

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "soae_demo"


def spec_for(path: Path, kind: str = "domain_test", **fields: Any) -> Any:
    document = {
        "kind": "import_dataset",
        "source": {"path": str(path)},
        "file_name": path.name,
        "dataset_kind": kind,
        **fields,
    }
    return parse_run_spec(json.dumps(document))


def write_csv(path: Path, rows: list[list[str]], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def errors_of(result: RecipeResult) -> list[dict[str, Any]]:
    return pq.read_table(result.outputs["errors"]).to_pylist()


def place_of(error: dict[str, Any]) -> tuple[int | None, str | None, str]:
    return error["line"], error["column"], error["code"]


def test_tool_conversations_leave_no_biased_part(tmp_path: Path, context: RunContext) -> None:
    turns = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    call = [turns[0], {"from": "function_call", "value": "{}"}, turns[1]]
    rows = [{"conversations": call if number % 2 else turns} for number in range(300)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "set").mkdir()
    for name, kept in (("tools", rows), ("plain", [{"instruction": "Q", "output": "A"}])):
        member = tmp_path / "set" / f"{name}.jsonl"
        member.write_text("".join(json.dumps(row) + "\n" for row in kept))
    for source in (path, tmp_path / "set"):
        result = import_dataset.run(spec_for(source, "conversations", policy="valid_rows"), context)
        assert (result.results.is_committed, result.results.has_file_error) == (False, True)
        assert "dataset" not in result.outputs
        (group,) = result.results.errors_by_code
        assert (group.code, group.example.params["count"]) == ("file.layout_tools", 150)
    with pytest.raises(DataError, match="150 rows call tools") as caught:
        read_rows(DatasetRef(path=str(path), kind="conversations"), Conversation)
    assert caught.value.code == "data.format_unsupported"


@pytest.mark.parametrize(
    ("stem", "kind"),
    [
        ("corpus_domain", "corpus"),
        ("sft_weak", "conversations"),
        ("sft_expert", "domain_test"),
        ("general_mcq", "multiple_choice"),
    ],
)
def test_a_version_reads_back_as_the_rows_of_its_file(
    stem: str, kind: str, context: RunContext
) -> None:
    path = DEMO / f"{stem}.zh.jsonl"
    result = import_dataset.run(spec_for(path, kind), context)
    rows = result.outputs["dataset"]
    digest = hashlib.sha256(rows.read_bytes()).hexdigest()
    record_type = RECORD_TYPES[kind]
    read_back = read_rows(DatasetRef(path=str(rows), kind=kind, digest=digest), record_type)
    assert read_back == read_rows(DatasetRef(path=str(path), kind=kind), record_type)
    manifest = DatasetManifest.parse((rows.parent / "manifest.json").read_bytes())
    assert manifest.num_rows == len(read_back) == result.results.num_rows
    assert manifest.rows_sha256 == digest
    assert manifest.counts["lang"].values == {"zh": len(read_back)}
    assert result.results.num_rejected == 0
    assert "errors" not in result.outputs
    assert list(context.run_dir.glob(".*")) == []


def test_figures_of_the_manifest_are_those_of_the_rows(context: RunContext) -> None:
    path = DEMO / "sft_expert.zh.jsonl"
    result = import_dataset.run(spec_for(path), context)
    manifest = result.results.manifest
    lengths = [len(json.loads(line)["output"]) for line in path.read_text("utf-8").splitlines()]
    output = manifest.lengths["output"]
    assert (output.min, output.max) == (min(lengths), max(lengths))
    assert output.mean == round(sum(lengths) / len(lengths), 1)
    assert sum(manifest.counts["meta.category"].values.values()) == len(lengths)


def test_rejected_rows_have_place_reason_and_their_own_columns(
    tmp_path: Path, context: RunContext
) -> None:
    path = write_csv(
        tmp_path / "a.csv",
        [
            ["编号", "问题", "答案", "部门"],
            ["1", "Q1", "A1", "财务"],
            ["2", "Q2", "", "法务"],
            ["3", "two\nlines", "A3", "财务"],
            ["1", "Q4", "A4", "审计"],
        ],
    )
    with path.open("a", encoding="utf-8") as file:
        file.write("5,Q5,A5,财务,too many\n")
    result = import_dataset.run(spec_for(path, policy="valid_rows"), context)
    errors = errors_of(result)
    assert [place_of(error) for error in errors] == [
        (3, "output", "row.required_empty"),
        (6, "id", "row.id_duplicate"),
        (7, None, "csv.columns"),
    ]
    assert errors[0]["cells"] == ["2", "Q2", "", "法务"]
    assert errors[1]["cells"] == ["1", "Q4", "A4", "审计"]
    assert (errors[2]["cells"], errors[2]["row"]) == (None, "5,Q5,A5,财务,too many")
    params = json.loads(errors[1]["params"])
    assert ROW_ERROR_TEXTS["row.id_duplicate"].message.format(**params, value="").endswith("line 2")
    assert result.results.is_committed
    assert (
        result.results.num_rows,
        result.results.num_rejected,
    ) == (2, 3)
    columns = {item.name: item.field for item in result.results.source.columns}
    assert columns == {"编号": "id", "问题": "instruction", "答案": "output", "部门": "meta.部门"}


def test_the_same_rows_as_a_workbook_give_the_same_report(
    tmp_path: Path, context: RunContext
) -> None:
    book = openpyxl.Workbook()
    for row in (["问题", "答案"], ["Q1", "A1"], ["Q2", None], ["=1+1", "A3"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    result = import_dataset.run(spec_for(tmp_path / "a.xlsx", policy="valid_rows"), context)
    errors = errors_of(result)
    assert [place_of(error) for error in errors] == [
        (3, "output", "row.required_empty"),
        (4, "A4", "xlsx.formula"),
    ]
    assert [error["cells"] for error in errors] == [["Q2", ""], ["=1+1", "A3"]]
    assert result.results.source.format == "xlsx"
    assert result.results.source.encoding == ""


def test_what_a_workbook_changes_is_in_the_report_of_all_its_rows(
    tmp_path: Path, context: RunContext
) -> None:
    book = openpyxl.Workbook()
    book.active.append(["问题", "答案", "证件号码"])
    for number in range(1100):
        book.active.append(["Q", f"A{number}", 11010119900101 + number])
    book.active.append(["Q", "A", 110101199001011234])
    book.save(tmp_path / "a.xlsx")
    notes = import_dataset.run(spec_for(tmp_path / "a.xlsx"), context).results.source.notes
    assert [(note.code, note.params["column"], note.params["count"]) for note in notes] == [
        ("sheet.lost_digits", "C", 1)
    ]


def test_broken_json_lines_are_given_back_as_text(tmp_path: Path, context: RunContext) -> None:
    path = tmp_path / "a.jsonl"
    lines = ['{"text": "one"}', '{"text": "two",}', '{"title": "no text"}', '{"text": "\\ud800"}']
    path.write_text("\n".join(lines), encoding="utf-8")
    result = import_dataset.run(spec_for(path, "corpus", policy="valid_rows"), context)
    errors = errors_of(result)
    assert [error["row"] for error in errors] == lines[1:]
    assert [error["code"] for error in errors] == [
        "json.syntax",
        "row.field_missing",
        "row.lone_surrogate",
    ]
    assert result.results.errors_by_code[0].model_dump(mode="json") == {
        "code": "json.syntax",
        "count": 1,
        "first_lines": [2],
        "first_files": [],
        "is_about_file": False,
        "example": {
            "params": json.loads(errors[0]["params"]),
            "value_excerpt": errors[0]["value_excerpt"],
        },
    }


def test_all_or_nothing_keeps_nothing_when_a_row_is_wrong(
    tmp_path: Path, context: RunContext
) -> None:
    path = write_csv(tmp_path / "a.csv", [["问题", "答案"], ["Q", "A"], ["Q", ""]])
    result = import_dataset.run(spec_for(path), context)
    assert not result.results.is_committed
    assert result.results.num_rows == 1
    assert set(result.outputs) == {"errors"}
    assert not (context.run_dir / "dataset").exists()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", "file.empty"),
        ("a.jsonl", b"%PDF-1.7 ...", "file.document_kind"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "file.xlsx_old"),
        ("a.csv", "问题,备注\nQ,A\n".encode(), "header.missing"),
        ("a.parquet", b"PAR1\x15\x04", "file.parquet_damaged"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_report_not_a_crash(
    name: str, content: bytes, code: str, tmp_path: Path, context: RunContext
) -> None:
    (tmp_path / name).write_bytes(content)
    result = import_dataset.run(spec_for(tmp_path / name, policy="valid_rows"), context)
    assert [error["code"] for error in errors_of(result)] == [code]
    assert result.results.has_file_error
    assert not result.results.is_committed


def test_rows_of_a_file_that_was_given_up_are_not_kept(tmp_path: Path, context: RunContext) -> None:
    """What was read before the place is a part of the file that nobody chose."""
    path = tmp_path / "a.json"
    path.write_text('[{"instruction": "Q", "output": "A"}, {"instruction": "Q", "out')
    result = import_dataset.run(spec_for(path, policy="valid_rows"), context)
    assert result.results.num_rows == 1
    assert result.results.has_file_error
    assert not result.results.is_committed
    assert "dataset" not in result.outputs


def test_a_missing_column_can_be_mapped(tmp_path: Path, context: RunContext) -> None:
    path = write_csv(tmp_path / "a.csv", [["问题", "备注"], ["Q", "A"]], encoding="gb18030")
    result = import_dataset.run(spec_for(path, columns={"备注": "output"}), context)
    assert result.results.is_committed
    assert result.results.source.encoding == "gb18030"


def test_rejected_rows_can_be_uploaded_again(tmp_path: Path, context: RunContext) -> None:
    """The columns that the report adds mean nothing when the repaired file comes back."""
    header = ["问题", "答案", "__line", "__column", "__code", "__message", "__hint", "__row"]
    repaired = ["Q2", "A2", "3", "output", "row.required_empty", "m", "h", ""]
    path = write_csv(tmp_path / "a.csv", [header, repaired])
    result = import_dataset.run(spec_for(path), context)
    (row,) = list(scan_rows(result.outputs["dataset"], Reading(kind="domain_test")))
    assert row.meta == {}


def test_a_version_of_questions_reads_as_conversations(context: RunContext) -> None:
    result = import_dataset.run(spec_for(DEMO / "sft_expert.en.jsonl"), context)
    ref = DatasetRef(path=str(result.outputs["dataset"]), kind="conversations")
    assert len(read_rows(ref, Conversation)) == 384


def test_an_upload_that_changed_is_refused(tmp_path: Path, context: RunContext) -> None:
    path = write_csv(tmp_path / "a.csv", [["text"], ["one"]])
    with pytest.raises(DataError, match="upload it again") as caught:
        import_dataset.run(
            spec_for(path, "corpus", source={"path": str(path), "digest": "0" * 64}), context
        )
    assert caught.value.code == "data.digest_mismatch"
    path.unlink()
    with pytest.raises(DataError, match="gone"):
        import_dataset.run(spec_for(path, "corpus"), context)


def test_row_groups_stay_small_and_progress_is_told(tmp_path: Path, context: RunContext) -> None:
    path = tmp_path / "a.jsonl"
    num_rows = 2 * GROUP_ROWS + 7
    path.write_text("".join(f'{{"text": "row {index}"}}\n' for index in range(num_rows)))
    result = import_dataset.run(spec_for(path, "corpus"), context)
    metadata = pq.read_metadata(result.outputs["dataset"])
    groups = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    assert groups == [GROUP_ROWS, GROUP_ROWS, 7]
    last = [p for p in context.events.payloads if isinstance(p, Progress)][-1]
    assert (last.done, last.total) == (num_rows, num_rows)


def test_large_rows_close_their_group_early(tmp_path: Path, context: RunContext) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "{index}{"x" * 3_000_000}"}}\n' for index in range(7)))
    result = import_dataset.run(spec_for(path, "corpus"), context)
    assert pq.read_metadata(result.outputs["dataset"]).num_row_groups == 3


def test_a_stop_request_keeps_nothing(tmp_path: Path, context: RunContext) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "{index}"}}\n' for index in range(6_000)))
    context.stop.set()
    with pytest.raises(StoppedAtCheckpoint):
        import_dataset.run(spec_for(path, "corpus"), context)
    assert not (context.run_dir / "dataset").exists()


@pytest.mark.slow
def test_the_program_imports_a_file(tmp_path: Path) -> None:
    """Exit status, report and output digests through the outermost frame."""
    spec = spec_for(DEMO / "general_mcq.en.jsonl", "multiple_choice")
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    command = [sys.executable, "-m", "pipeline", "run", "spec.json", "--run-dir", "run"]
    result = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "run/report.json").read_text())
    output = report["outputs"]["dataset"]
    rows = tmp_path / "run" / output["path"]
    assert hashlib.sha256(rows.read_bytes()).hexdigest() == output["digest"]
    assert report["results"]["num_rows"] == 256
