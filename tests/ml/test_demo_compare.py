"""Two runs of the demonstration: equal but for time, or every difference named."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contracts.reports import stored_report
from pipeline.demo.__main__ import main
from pipeline.demo.compare import differences

REPORTS = Path(__file__).parents[1] / "contract/golden/v1/reports"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    for step_id, kind in (("cpt", "continual_pretrain"), ("bench", "speculative_decode")):
        step = tmp_path / "before/steps" / step_id
        step.mkdir(parents=True)
        shutil.copy(REPORTS / f"{kind}.json", step / "report.json")
    step = tmp_path / "before/steps/evaluate"
    step.mkdir()
    report = json.loads((REPORTS / "evaluate.json").read_text())
    (step / "report.json").write_text(json.dumps(report))
    rows = [{"task": "text_overlap", "item_id": "q1", "rouge1": 12.5, "answer": "a"}]
    pq.write_table(pa.Table.from_pylist(rows), step / "samples.parquet")
    (step / "gauge_texts.jsonl").write_text('{"id": "g1"}\n')
    return tmp_path / "before"


@pytest.fixture
def after(before: Path, tmp_path: Path) -> Path:
    shutil.copytree(before, tmp_path / "after")
    return tmp_path / "after"


def change(path: Path, *keys: str, value: object) -> None:
    document = json.loads(path.read_text())
    node = document
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    path.write_text(json.dumps(document))


def test_times_and_what_they_decide_may_differ(before: Path, after: Path, capsys) -> None:
    change(after / "steps/cpt/report.json", "seconds", value=1.0)
    change(after / "steps/cpt/report.json", "metrics", "tokens_per_second", value=1.0)
    arm = ("metrics", "arms", "distilled")
    for name in ("costs", "speedup"):
        change(after / "steps/bench/report.json", *arm, name, value=None)
    change(after / "steps/bench/report.json", *arm, "num_speculative_tokens", value=9)
    found, num_equal = differences(before, after)
    assert found == []
    assert num_equal > 150
    assert main(["compare", str(before), str(after)]) == 0
    assert "differ" in capsys.readouterr().out


def test_certificates_of_two_days_may_differ(before: Path, after: Path) -> None:
    for side, digest in ((before, "a" * 64), (after, "b" * 64)):
        path = side / "steps/bench/report.json"
        today = stored_report(json.loads(path.read_text())).model_dump(mode="json")
        today["results"]["certificates"] = {"distilled": {"digest": digest, "is_lossless": True}}
        path.write_text(json.dumps(today))
    assert differences(before, after)[0] == []


@pytest.mark.parametrize(
    ("step", "keys", "value"),
    [
        ("cpt", ("metrics", "loss_last"), 3.0000000000000004),
        ("cpt", ("outputs", "model", "digest"), "0" * 64),
        ("bench", ("metrics", "losslessness", "is_lossless"), False),
        ("bench", ("metrics", "arms", "distilled", "num_output_tokens"), 1),
        ("bench", ("metrics", "arms", "distilled", "repeated_4gram_rate"), 0.9),
        ("evaluate", ("metrics", "text_overlap", "rouge1"), 1.0),
        ("evaluate", ("metrics", "retention", "accuracy", "num_missing"), 1),
    ],
)
def test_a_figure_that_moved_is_named(
    before: Path, after: Path, step: str, keys: tuple[str, ...], value: object
) -> None:
    change(after / f"steps/{step}/report.json", *keys, value=value)
    found, _ = differences(before, after)
    assert found
    assert all(line.startswith(f"{step}: ") for line in found)
    assert main(["compare", str(before), str(after)]) == 1


def test_rows_texts_and_missing_steps_are_compared(before: Path, after: Path) -> None:
    rows = [{"task": "text_overlap", "item_id": "q1", "rouge1": 12.5, "answer": "b"}]
    pq.write_table(pa.Table.from_pylist(rows), after / "steps/evaluate/samples.parquet")
    (after / "steps/evaluate/gauge_texts.jsonl").write_text('{"id": "g2"}\n')
    shutil.rmtree(after / "steps/bench")
    found, _ = differences(before, after)
    assert {tuple(line.split(": ")[:2]) for line in found} == {
        ("evaluate", "samples.text_overlap.q1.answer"),
        ("evaluate", "gauge_texts.1"),
        ("bench", "only one side has it"),
    }
    assert differences(after.parent / "nothing", after.parent / "nothing")[0]
