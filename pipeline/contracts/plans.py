"""How the steps of a plan depend on each other: order, resolution of references, gates.

Pure functions on contracts, used by the program (`pipeline.recipes.plan`) and by the platform, so
that both execute a plan in the same way.
"""

import json
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.references import Reference
from pipeline.contracts.reports import Report
from pipeline.contracts.results import value_at
from pipeline.contracts.specs import Gate, PlanSpec, PlanStep, parse_run_spec
from pipeline.errors import GateError, SpecError


def step_references(step: PlanStep) -> tuple[tuple[str, str], ...]:
    """(step id, output) pairs the step's spec reads from earlier steps, in document order."""
    found = []
    for node in _objects(step.spec.model_dump(mode="json")):
        if node.get("from_step") is not None:
            found.append((node["from_step"], node["output"]))
    return tuple(dict.fromkeys(found))


def step_dependencies(step: PlanStep) -> tuple[str, ...]:
    """Ids of the steps that must have succeeded first: `needs` and those its references name."""
    named = [*step.needs, *(step_id for step_id, _ in step_references(step))]
    return tuple(dict.fromkeys(named))


def execution_order(plan: PlanSpec) -> tuple[PlanStep, ...]:
    """The steps in an order that respects every dependency; written order where it is free.

    Raises:
        SpecError: `spec.unresolved_reference` for an unknown step, `spec.plan_cycle` for a cycle.
    """
    steps = {step.id: step for step in plan.steps}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for step in plan.steps:
        dependencies = step_dependencies(step)
        unknown = [name for name in dependencies if name not in steps]
        if unknown:
            raise SpecError(
                "spec.unresolved_reference",
                f"step {step.id!r} names {', '.join(map(repr, unknown))}, which the plan does not "
                f"have; its steps are {', '.join(steps)}",
            )
        sorter.add(step.id, *dependencies)
    try:
        sorter.prepare()
    except CycleError as exc:
        raise SpecError(
            "spec.plan_cycle", f"these steps wait for each other: {' -> '.join(exc.args[1])}"
        ) from exc
    order: list[PlanStep] = []
    positions = {step.id: index for index, step in enumerate(plan.steps)}
    ready = list(sorter.get_ready())
    while ready:
        ready.sort(key=positions.__getitem__)
        current = ready.pop(0)
        order.append(steps[current])
        sorter.done(current)
        ready.extend(sorter.get_ready())
    return tuple(order)


def resolve_references(
    spec: RunSpec, outputs: Mapping[tuple[str, str], tuple[str, str | None]]
) -> RunSpec:
    """`spec` with every `from_step` replaced by (absolute path, digest) of that output.

    Raises:
        SpecError: `spec.unresolved_reference` when a step did not produce a named output.
    """
    document = spec.model_dump(mode="json")
    for node in _objects(document):
        step_id = node.get("from_step")
        if step_id is None:
            continue
        key = (step_id, node["output"])
        if key not in outputs:
            produced = sorted(output for step, output in outputs if step == step_id)
            raise SpecError(
                "spec.unresolved_reference",
                f"step {step_id!r} has no output {node['output']!r}; "
                f"it has {', '.join(produced) or 'none'}",
            )
        node["path"], node["digest"] = outputs[key]
        node["from_step"] = None
    return parse_run_spec(json.dumps(document))


def check_gates(step_id: str, gates: tuple[Gate, ...], report: Report) -> None:
    """Every gate holds for the report.

    Raises:
        GateError: `plan.gate_failed`, naming the metric, its value and what was asked. A metric
            that is missing from the report does not hold.
    """
    for gate in gates:
        value = value_at(report, gate.metric)
        if not _holds(gate, value):
            raise GateError(
                "plan.gate_failed",
                f"step {step_id!r}: {gate.metric} is {value!r}, but the plan asks for "
                f"{gate.operator.replace('_', ' ')} {gate.value!r}",
            )


def _holds(gate: Gate, value: object) -> bool:
    if value is None:
        return False
    match gate.operator:
        case "equal":
            return bool(value == gate.value)
        case "not_equal":
            return bool(value != gate.value)
    if not isinstance(value, int | float) or not isinstance(gate.value, int | float):
        return False
    return value >= gate.value if gate.operator == "at_least" else value <= gate.value


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if Reference.model_fields.keys() <= value.keys():
            yield value
        for child in value.values():
            yield from _objects(child)
    elif isinstance(value, list):
        for child in value:
            yield from _objects(child)
