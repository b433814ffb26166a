"""Plans: order, references, gates."""

import json
from pathlib import Path

import pytest

from pipeline.contracts.plans import check_gates, execution_order, resolve_references
from pipeline.contracts.specs import Gate, PlanSpec, parse_spec
from pipeline.errors import GateError, SpecError

GOLDEN = Path(__file__).parent / "golden"


def plan(*steps: tuple[str, list[str], list[str]]) -> PlanSpec:
    """A plan of (id, needs, steps whose model it reads)."""
    documents = []
    for step_id, needs, reads in steps:
        sources = [{"path": "data.jsonl"}]
        model = {"from_step": reads[0]} if reads else {"path": "base"}
        base = {"from_step": reads[1]} if len(reads) > 1 else {"path": "base"}
        dataset = sources[0] | {"kind": "domain_test"}
        spec = {
            "kind": "evaluate",
            "model": model,
            "base": base,
            "text_overlap": {"dataset": dataset},
        }
        documents.append({"id": step_id, "spec": spec, "needs": needs})
    parsed = parse_spec(json.dumps({"kind": "plan", "steps": documents}))
    assert isinstance(parsed, PlanSpec)
    return parsed


def ids(spec: PlanSpec) -> list[str]:
    return [step.id for step in execution_order(spec)]


def test_order_respects_references_and_needs_and_is_otherwise_as_written() -> None:
    spec = plan(("c", ["b"], []), ("b", [], ["a"]), ("a", [], []), ("d", [], []))
    assert ids(spec) == ["a", "b", "c", "d"]


def test_steps_free_of_each_other_keep_the_written_order() -> None:
    assert ids(plan(("z", [], []), ("a", [], []), ("m", [], []))) == ["z", "a", "m"]


def test_a_cycle_is_named() -> None:
    with pytest.raises(SpecError, match=r"a -> b|b -> a") as caught:
        execution_order(plan(("a", ["b"], []), ("b", ["a"], [])))
    assert caught.value.code == "spec.plan_cycle"


def test_an_unknown_step_is_named() -> None:
    with pytest.raises(SpecError, match="'nobody'"):
        execution_order(plan(("a", [], ["nobody"])))


def test_references_become_paths_and_digests() -> None:
    spec = plan(("a", [], []), ("b", [], ["a"])).steps[1].spec
    resolved = resolve_references(spec, {("a", "model"): ("/runs/a/step-3", "0" * 64)})
    assert resolved.model.path == "/runs/a/step-3"
    assert resolved.model.from_step is None
    assert resolved.model.digest == "0" * 64
    assert resolved.base == spec.base


def test_a_missing_output_says_what_there_is() -> None:
    spec = plan(("a", [], []), ("b", [], ["a"])).steps[1].spec
    with pytest.raises(SpecError, match="it has samples"):
        resolve_references(spec, {("a", "samples"): ("/runs/a/samples.parquet", None)})


@pytest.mark.parametrize(
    ("operator", "value", "holds"),
    [
        ("equal", True, True),
        ("equal", False, False),
        ("not_equal", False, True),
        ("at_least", 1, True),
        ("at_most", 0.5, False),
    ],
)
def test_gates_compare(operator: str, value: object, holds: bool) -> None:
    gate = Gate(metric="metrics.losslessness.is_lossless", operator=operator, value=value)
    report = {"metrics": {"losslessness": {"is_lossless": True}}}
    if holds:
        check_gates("bench", (gate,), report)
    else:
        with pytest.raises(GateError, match="is_lossless is True"):
            check_gates("bench", (gate,), report)


def test_a_missing_metric_never_passes() -> None:
    gate = Gate(metric="metrics.absent", operator="not_equal", value="FAIL")
    with pytest.raises(GateError):
        check_gates("evaluate", (gate,), {"metrics": {}})
