"""What runs and plans were asked to do, as objects instead of the JSON that the database holds."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from pipeline.contracts.base import SpecBase
from pipeline.contracts.documents import SpecDocument, read_plan_spec, read_run_spec
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.specs import PlanSpec
from studio.runs.models import Plan, Run


def run_document(run: Run) -> SpecDocument[RunSpec]:
    """The run's spec with the bytes and the digest under which it was started."""
    return read_run_spec(json.dumps(run.spec))


def plan_document(plan: Plan) -> SpecDocument[PlanSpec]:
    """The plan's spec with the bytes and the digest under which it was started."""
    return read_plan_spec(json.dumps(plan.spec))


def stored_paths(run: Run) -> Iterator[Path]:
    """Every absolute path in the run's document, in whatever place.

    As it is stored: a document that nobody can read any more still needs what it names.
    """
    for text in _texts(run.spec):
        path = Path(text)
        if path.is_absolute():
            yield path


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def stored_columns(document: SpecDocument[SpecBase]) -> dict[str, JsonValue]:
    """The columns of a run or plan that hold its document."""
    return {"spec": json.loads(document.canonical), "spec_digest": document.digest}
