"""A data set read whole: filters, limits, digests, and the kind of its rows."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline.contracts.references import DatasetKind, DatasetRef, RowFilter
from pipeline.data.datasets import dataset_digest, read_rows
from pipeline.data.records import RECORD_TYPES, Conversation, Document, DomainItem, Record
from pipeline.errors import DataError

DEMO = Path(__file__).parents[2] / "examples" / "soae_demo"


def write_lines(path: Path, rows: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def item(index: int = 0, **changes: object) -> dict[str, object]:
    row = {"id": f"a{index}", "lang": "en", "instruction": "Q?", "input": "", "output": "A."}
    return {**row, **changes}


def test_filters_and_even_limit(tmp_path: Path) -> None:
    rows = [item(i, meta={"group": i % 2, "flag": True}) for i in range(20)]
    path = str(write_lines(tmp_path / "a.jsonl", rows))
    where = (RowFilter(field="meta.group", values=(1,)),)
    odd = read_rows(DatasetRef(path=path, kind="domain_test", where=where), DomainItem)
    assert [record.id for record in odd] == [f"a{i}" for i in range(1, 20, 2)]
    dropped = (RowFilter(field="meta.group", values=(1,), keep=False),)
    even = read_rows(DatasetRef(path=path, kind="domain_test", where=dropped, limit=4), DomainItem)
    assert [record.id for record in even] == ["a0", "a4", "a10", "a14"]
    no_match = (RowFilter(field="meta.flag", values=(1,)),)
    with pytest.raises(DataError, match="none passes the filter") as caught:
        read_rows(DatasetRef(path=path, kind="domain_test", where=no_match), DomainItem)
    assert caught.value.code == "data.empty"


def test_digest_is_checked(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [item()])
    ref = DatasetRef(path=str(path), kind="domain_test", digest=dataset_digest(path))
    assert len(read_rows(ref, DomainItem)) == 1
    path.write_text(path.read_text() + json.dumps(item(1)))
    with pytest.raises(DataError, match="has changed") as caught:
        read_rows(ref, DomainItem)
    assert caught.value.code == "data.digest_mismatch"


def test_rows_of_another_kind_are_refused(tmp_path: Path) -> None:
    """They were dropped in silence, so that a run could go on with fewer rows than it was given."""
    path = write_lines(tmp_path / "a.jsonl", [item(), item(1)])
    path.write_text("\n" + path.read_text("utf-8"), "utf-8")
    ref = DatasetRef(path=str(path), kind="domain_test")
    with pytest.raises(DataError) as caught:
        read_rows(ref, Document)
    assert caught.value.code == "data.wrong_kind"
    assert str(caught.value) == (
        f"{path}:2: a row of kind domain_test, where rows of kind corpus are wanted; "
        "choose a data set of that kind"
    )
    with pytest.raises(DataError, match="of kind corpus or conversations are wanted"):
        read_rows(ref, (Document, Conversation))
    assert len(read_rows(ref, (Conversation, DomainItem))) == 2


@pytest.mark.parametrize(
    ("stem", "kind"),
    [
        ("corpus_domain", "corpus"),
        ("sft_weak", "conversations"),
        ("domain_test", "domain_test"),
        ("general_mcq", "multiple_choice"),
    ],
)
def test_each_kind_is_read_as_its_record_type(stem: str, kind: DatasetKind) -> None:
    ref = DatasetRef(path=str(DEMO / f"{stem}.en.jsonl"), kind=kind, limit=3)
    rows: list[Record] = read_rows(ref, RECORD_TYPES[kind])
    assert [type(row) for row in rows] == [RECORD_TYPES[kind]] * 3
