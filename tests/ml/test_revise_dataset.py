"""A version made of another: what a change names changes, all else is the same bit for bit."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.__main__ import main
from pipeline.contracts.dataset_manifest import DatasetManifest
from pipeline.contracts.reports import parse_report
from pipeline.data.datasets import dataset_digest
from pipeline.data.records import DomainItem
from pipeline.data.version_files import RowWriter
from pipeline.data.version_manifest import source_of_version, write_manifest


def item(identifier: str, text: str = "监管", **fields: object) -> DomainItem:
    return DomainItem(
        id=identifier, lang="zh", instruction=f"问 {text}", input="", output=f"答 {text}", **fields
    )


def version(directory: Path, rows: list[DomainItem]) -> Path:
    """`rows.parquet` with its manifest."""
    directory.mkdir(parents=True)
    path = directory / "rows.parquet"
    with RowWriter(path, "domain_test") as writer:
        for row in rows:
            writer.append(row)
    source = source_of_version(path, dataset_digest(path))
    write_manifest(directory, "domain_test", source, writer, num_rejected=0)
    return path


def reference(path: Path) -> dict[str, str]:
    return {"path": str(path), "digest": dataset_digest(path), "kind": "domain_test"}


def revised(tmp_path: Path, base: Path, **fields: object):
    """(results, rows of the new version or None)."""
    spec = {"kind": "revise_dataset", "base": reference(base), **fields}
    directory = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
    directory.mkdir()
    (directory / "given.json").write_text(json.dumps(spec))
    assert main(["run", str(directory / "given.json"), "--run-dir", str(directory)]) == 0
    report = parse_report((directory / "report.json").read_bytes())
    if "dataset" not in report.outputs:
        assert not (directory / "dataset").exists()
        return report.results, None
    path = directory / report.outputs["dataset"].path
    manifest = DatasetManifest.parse((path.parent / "manifest.json").read_bytes())
    assert manifest.rows_sha256 == dataset_digest(path)
    return report.results, pq.read_table(path).to_pylist()


BASE = [
    item("a"),
    item("b", meta={"topic": "旧", "n": 1.5}),
    item("line-3"),
    item("d", source=" 国资委 "),
]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return version(tmp_path / "base", BASE)


def test_only_named_rows_change(tmp_path: Path, base: Path) -> None:
    changes = [
        {"action": "replace", "id": "a", "text": '{"instruction": "新问", "output": "新答"}'},
        {"action": "delete", "id": "line-3", "reason": "重复"},
        {
            "action": "add",
            "cells": {"instruction": "补", "output": "= 1", "meta.topic": "新"},
            "line": 3,
        },
        {"action": "add", "text": '{"instruction": "再补", "output": "答"}', "line": 3},
    ]
    results, rows = revised(tmp_path, base, changes=changes, reason="改错", author="wei")
    before = pq.read_table(base).to_pylist()
    assert rows[1:3] == [before[1], before[3]]
    assert [row["id"] for row in rows] == ["a", "b", "d", "line-3", "line-4"]
    assert (rows[0]["instruction"], rows[0]["output"]) == ("新问", "新答")
    assert (rows[3]["output"], rows[3]["meta"]) == ("= 1", '{"topic": "新"}')
    counts = (results.num_kept, results.num_changed, results.num_deleted, results.num_added)
    assert counts == (2, 1, 1, 2)
    revises = results.manifest.revises
    assert (revises.author, revises.reason) == ("wei", "改错")
    assert revises.rows_sha256 == dataset_digest(base)


def test_corrections_of_all_rows(tmp_path: Path, base: Path) -> None:
    changes = [
        {"action": "trim"},
        {"action": "map_value", "field": "meta.topic", "value": "旧", "to": "新"},
    ]
    results, rows = revised(tmp_path, base, changes=changes)
    assert [row["source"] for row in rows] == ["", "", "", "国资委"]
    assert json.loads(rows[1]["meta"]) == {"topic": "新", "n": 1.5}
    assert (results.num_kept, results.num_changed) == (2, 2)


def test_what_cannot_be_done_is_named_and_nothing_is_made(tmp_path: Path, base: Path) -> None:
    changes = [
        {"action": "replace", "id": "a", "text": '{"instruction": "", "output": "x"}'},
        {"action": "delete", "id": "nobody", "reason": "x"},
        {"action": "add", "text": '{"instruction": "x"', "line": 9},
        {"action": "add", "text": '{"id": "b", "instruction": "x", "output": "y"}'},
        {"action": "map_value", "field": "lang", "value": "zh", "to": "de"},
    ]
    results, rows = revised(tmp_path, base, changes=changes)
    assert rows is None
    assert results.manifest is None
    codes = {(problem.change, problem.id, problem.code) for problem in results.problems}
    assert (0, "a", "row.required_empty") in codes
    assert (1, "nobody", "row.not_in_version") in codes
    assert (2, "", "json.syntax") in codes
    assert (3, "b", "row.id_in_version") in codes
    assert (None, "d", "row.enum") in codes


@pytest.mark.parametrize(
    ("same_id", "ids"),
    [
        ("replace", ["a", "line-3", "d", "b", "line-8", "line-9"]),
        ("skip", ["a", "b", "line-3", "d", "line-8", "line-9"]),
        ("refuse", None),
    ],
)
def test_appended_rows_whose_id_is_taken(tmp_path: Path, base: Path, same_id, ids) -> None:
    """A generated id is made anew; what becomes of another one is the person's choice."""
    more = version(tmp_path / "more", [item("b", "新"), item("line-3", "新"), item("line-8", "新")])
    ids = ids and [*ids[:-2], "line-9", "line-8"]
    results, rows = revised(tmp_path, base, append=reference(more), same_id=same_id)
    if ids is None:
        assert rows is None
        assert [problem.id for problem in results.problems] == ["b"]
    else:
        assert [row["id"] for row in rows] == ids
        assert results.num_replaced == (same_id == "replace")
        assert results.num_skipped == (same_id == "skip")


IDS = st.sampled_from(["a", "b", "c", "line-1", "line-2", "line-3", "line-4", "编号"])


@settings(max_examples=8, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    first=st.lists(IDS, min_size=1, max_size=5, unique=True),
    second=st.lists(IDS, min_size=1, max_size=5, unique=True),
    same_id=st.sampled_from(["replace", "skip"]),
)
def test_appending_keeps_every_row_and_ids_are_unique(
    tmp_path_factory, first, second, same_id
) -> None:
    directory = tmp_path_factory.mktemp("revision")
    base = version(directory / "base", [item(name, f"一 {name}") for name in first])
    more = version(directory / "more", [item(name, f"二 {name}") for name in second])
    _results, rows = revised(directory, base, append=reference(more), same_id=same_id)
    assert len({row["id"] for row in rows}) == len(rows)
    both = {name for name in set(first) & set(second) if not name.startswith("line-")}
    kept = {f"一 {name}" for name in first} | {f"二 {name}" for name in second}
    kept -= {f"{'一' if same_id == 'replace' else '二'} {name}" for name in both}
    assert {row["instruction"].removeprefix("问 ") for row in rows} == kept
