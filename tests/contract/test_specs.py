"""Specs: canonical form, stable digests, errors that name the dotted path."""

import json
from pathlib import Path

import pytest

from pipeline.contracts.codec import canonical_json, digest
from pipeline.contracts.specs import PlanSpec, parse_run_spec, parse_spec, spec_schema
from pipeline.errors import SpecError

GOLDEN = Path(__file__).parent / "golden"
KINDS = (
    "continual_pretrain",
    "curriculum_sft",
    "logit_distill",
    "speculative_decode",
    "evaluate",
    "preview_dataset",
    "import_dataset",
    "import_checkpoint",
    "check_dataset",
    "mask_dataset",
    "preview_tokens",
    "revise_dataset",
    "compare_versions",
    "plan",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_spec_keeps_its_canonical_form_and_digest(kind: str) -> None:
    """A change here breaks every stored digest: raise `schema_version` instead."""
    golden = json.loads((GOLDEN / f"{kind}.json").read_text(encoding="utf-8"))
    spec = parse_spec(json.dumps(golden["written"]))
    assert json.loads(canonical_json(spec)) == golden["canonical"]
    assert digest(spec) == golden["digest"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_canonical_form_is_a_fixed_point(kind: str) -> None:
    golden = json.loads((GOLDEN / f"{kind}.json").read_text(encoding="utf-8"))
    spec = parse_spec(json.dumps(golden["canonical"]))
    assert digest(spec) == golden["digest"]


def written(kind: str) -> dict:
    return json.loads((GOLDEN / f"{kind}.json").read_text(encoding="utf-8"))["written"]


def test_key_order_and_written_defaults_do_not_change_the_digest() -> None:
    document = written("curriculum_sft")
    reordered = dict(reversed(document.items())) | {"seed": 0, "dtype": "float32"}
    assert digest(parse_spec(json.dumps(document))) == digest(parse_spec(json.dumps(reordered)))


@pytest.mark.parametrize(
    ("kind", "change", "path"),
    [
        ("continual_pretrain", {"num_tokns": 1}, "num_tokns"),
        ("continual_pretrain", {"num_tokens": "many"}, "num_tokens"),
        ("continual_pretrain", {"num_tokens": 0}, "num_tokens"),
        ("continual_pretrain", {"optimizer": {"learning_rate": -1.0}}, "optimizer.learning_rate"),
        ("continual_pretrain", {"model": {}}, "model: give exactly one of"),
        ("curriculum_sft", {"stages": []}, "stages"),
        (
            "evaluate",
            {"text_overlap": None, "general_ability": None, "gauge": None},
            "at least one",
        ),
        ("speculative_decode", {"arms": []}, "arms"),
        ("speculative_decode", {"arms": [{"method": "hope"}]}, "arms.0"),
        ("speculative_decode", {"arms": [{"method": "ngram", "name": "autoregressive"}]}, "differ"),
        ("speculative_decode", {"arms": [{"method": "ngram"}] * 2}, "names must differ"),
        ("speculative_decode", {"arms": [{"method": "ngram", "max_ngram": 0}]}, "arms.0.max_ngram"),
        (
            "speculative_decode",
            {"arms": [{"method": "ngram", "min_ngram": 4}]},
            "arms.0: min_ngram",
        ),
        ("speculative_decode", {"schema_version": 4}, "schema_version"),
        ("speculative_decode", {"schema_version": 1}, "schema_version"),
        ("logit_distill", {"objective": "hope"}, "objective"),
        ("continual_pretrain", {"seed": True}, "seed"),
        ("check_dataset", {"near_duplicate_similarity": 0.5}, "near_duplicate_similarity"),
        ("mask_dataset", {"personal": [], "drop": []}, "personal"),
        ("mask_dataset", {"flags": None}, "flags"),
        ("preview_tokens", {"num_rows": 51}, "num_rows"),
        ("import_dataset", {"policy": "guess"}, "policy"),
        ("import_dataset", {"columns": {"a": "meta."}}, "columns.a"),
        ("import_dataset", {"columns": {"a": "output", "b": "output"}}, "columns: several"),
    ],
)
def test_a_wrong_spec_names_the_dotted_path(kind: str, change: dict, path: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(json.dumps(written(kind) | change))
    assert caught.value.code == "spec.invalid"
    assert path in str(caught.value)
    assert "function-after" not in str(caught.value)


def test_a_nested_problem_inside_a_plan_names_its_step() -> None:
    document = written("plan")
    document["steps"][0]["spec"]["optimizer"]["learning_rate"] = 7
    with pytest.raises(SpecError, match=r"steps\.0\.spec\.optimizer\.learning_rate"):
        parse_spec(json.dumps(document))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SpecError, match="pretrain_harder"):
        parse_spec('{"kind": "pretrain_harder"}')


def test_not_a_number_is_refused() -> None:
    document = json.dumps(written("continual_pretrain")).replace("5e-05", "NaN")
    assert "NaN" in document
    with pytest.raises(SpecError):
        parse_spec(document)


def test_a_plan_is_not_a_run() -> None:
    with pytest.raises(SpecError):
        parse_run_spec(json.dumps(written("plan")))


def test_step_ids_are_unique() -> None:
    document = written("plan")
    document["steps"].append(document["steps"][0])
    with pytest.raises(SpecError, match="used twice"):
        parse_spec(json.dumps(document))


def test_a_reference_of_a_plan_cannot_be_read_outside_it() -> None:
    plan = parse_spec(json.dumps(written("plan")))
    assert isinstance(plan, PlanSpec)
    with pytest.raises(SpecError) as caught:
        _ = plan.steps[1].spec.model.resolved_path
    assert caught.value.code == "spec.unresolved_reference"


def test_the_schema_describes_every_kind() -> None:
    assert set(spec_schema()["discriminator"]["mapping"]) == set(KINDS)
