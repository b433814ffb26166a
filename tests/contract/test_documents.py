"""A spec as it was written is what identifies its run."""

import json
from pathlib import Path

import pytest

from pipeline.contracts.codec import canonical_json, digest
from pipeline.contracts.documents import read_run_spec, read_spec, spec_document
from pipeline.contracts.specs import RUN_KINDS
from pipeline.errors import SpecError

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("kind", [*RUN_KINDS, "plan"])
def test_a_document_of_today_is_identified_by_its_canonical_form(kind: str) -> None:
    golden = json.loads((GOLDEN / f"{kind}.json").read_text(encoding="utf-8"))
    found = read_spec(json.dumps(golden["written"]))
    assert found.digest == golden["digest"]
    assert found.canonical == canonical_json(found.spec)
    assert found == spec_document(found.spec)
    assert digest(found.spec) == found.digest


def test_a_plan_is_no_document_of_a_run() -> None:
    golden = json.loads((GOLDEN / "plan.json").read_text(encoding="utf-8"))
    with pytest.raises(SpecError):
        read_run_spec(json.dumps(golden["written"]))


@pytest.mark.parametrize("document", ["{", "[]", "[" * 100_000, '{"kind": "plan", "steps": 1}'])
def test_what_is_no_spec_is_said_by_the_contract(document: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_spec(document)
    assert caught.value.code == "spec.invalid"
