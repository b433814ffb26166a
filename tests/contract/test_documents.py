"""A spec as it was written is what identifies its run."""

import json
from pathlib import Path

import pytest

from pipeline.contracts.codec import canonical_json, digest
from pipeline.contracts.decoding_spec import DraftModelArm, NGramArm
from pipeline.contracts.documents import read_run_spec, read_spec, spec_document
from pipeline.contracts.evaluation_spec import EquivalenceMargins
from pipeline.contracts.gauge_margin import GAUGE_MARGIN
from pipeline.contracts.kinds import RUN_KINDS
from pipeline.contracts.plans import execution_order
from pipeline.contracts.samples import MEASURES
from pipeline.contracts.upgrades import _MEASURES_WITH_MARGINS, upgrade_gate_path
from pipeline.errors import SpecError

GOLDEN = Path(__file__).parent / "golden"
# Made by the code of version 1 from what a run of the demonstration's plan had stored.
DIGESTS_V1 = {
    "continual_pretrain": "102741268b3fe827d5755358973ebe66b5eb4be2e79715cf09d1b083fc688ae9",
    "curriculum_sft": "a70604ea844528fd07e6b0bdd05d1f2501f110ccd6f5ade9b86cabc68581472a",
    "evaluate": "c612ee4b5c9ef5422d0b423269a0b388407764f893035eb43b26158eeea635df",
    "import_checkpoint": "7fb82b8dc2fec8f1118886a0804e173ec6efba2949489d6ff50d4b250f7aaa53",
    "import_dataset": "9eafcdf031d8795bd6cf3c48dc130a18d4e3fc68f80017fd861745f00b3c3b92",
    "logit_distill": "fdaa8e89d2af41edcde07609dd10eb2b01ee7d4807f69b7ceeb7b09a0815c26b",
    "plan": "e250b3b6de322b3aebc518d3f4b5f363fe75e89bebf51016106de6a8932df7cb",
    "speculative_decode": "a862ce61e302e349b7f8d731eedcc8127e9972a427aec58aacd3c4efba610d8e",
}


def stored(kind: str) -> bytes:
    """A document of version 1 as run directories hold it."""
    return (GOLDEN / "v1" / f"{kind}.spec.json").read_bytes()


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


@pytest.mark.parametrize("kind", DIGESTS_V1)
def test_a_stored_document_keeps_its_bytes_and_digest(kind: str) -> None:
    document = read_spec(stored(kind))
    assert document.digest == DIGESTS_V1[kind]
    assert document.canonical + b"\n" == stored(kind)
    # What the platform's database holds is the same JSON, in whatever order of keys.
    reordered = dict(reversed(json.loads(stored(kind)).items()))
    assert read_spec(json.dumps(reordered)) == document


@pytest.mark.parametrize("kind", DIGESTS_V1)
def test_a_stored_document_means_what_it_meant(kind: str) -> None:
    """Written again it is a document of today that asks for the same."""
    document = read_spec(stored(kind))
    assert read_spec(canonical_json(document.spec)).spec == document.spec
    is_newer = kind not in {"continual_pretrain", "curriculum_sft", "import_checkpoint"}
    assert (digest(document.spec) != document.digest) == is_newer


def test_drafts_and_lookup_of_version_1_are_arms() -> None:
    spec = read_run_spec(stored("speculative_decode")).spec
    assert [arm.name for arm in spec.arms] == [
        "distilled",
        "control_target_text",
        "control_gold",
        "ngram",
    ]
    assert isinstance(spec.arms[0], DraftModelArm)
    assert spec.arms[0].model.path == "/data/runs/recipe/steps/distill/checkpoints/step-7"
    assert spec.arms[-1] == NGramArm(max_ngram=3, min_ngram=1)
    assert (spec.num_prompts, spec.max_new_tokens, spec.num_repeats) == (2, 8, 2)


@pytest.mark.parametrize("names_version", [True, False])
@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"ngram_arm": False}, ["distilled"]),
        ({"drafts": []}, ["ngram"]),
        ({}, ["distilled", "ngram"]),
    ],
)
def test_documents_of_version_1_written_by_hand(change, names, names_version) -> None:
    document = {
        "kind": "speculative_decode",
        "target": {"path": "sft"},
        "drafts": [{"name": "distilled", "model": {"path": "draft"}}],
        "prompts": {"kind": "domain_test", "path": "test.jsonl"},
    } | change
    if names_version:
        document["schema_version"] = 1
    spec = read_run_spec(json.dumps(document)).spec
    assert [arm.name for arm in spec.arms] == names


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"drafts": "distilled"}, "drafts"),
        ({"drafts": ["distilled"]}, "arms.0"),
        ({"drafts": [], "ngram_arm": False}, "arms"),
        ({"ngram_arm": "yes"}, "ngram_arm"),
        ({"arms": [{"method": "ngram"}]}, "drafts"),
        ({"spec_version": 1}, "spec_version"),
    ],
)
def test_what_is_wrong_with_a_document_of_version_1_is_said(change: dict, path: str) -> None:
    document = json.loads(stored("speculative_decode")) | change
    with pytest.raises(SpecError) as caught:
        read_spec(json.dumps(document))
    assert f"  {path}: " in str(caught.value)


def test_an_evaluation_of_version_1_fixed_no_margins() -> None:
    spec = read_run_spec(stored("evaluate")).spec
    assert set(spec.margins.model_dump().values()) == {None}
    today = spec.margins.__class__()
    assert None not in today.model_dump().values()
    assert today.of("bleu4") == 0.5
    assert today.of("a measure of tomorrow") is None


def defaults_of(spec) -> tuple[object, ...]:
    """What version 3 of an evaluation knows and version 2 did not."""
    return (
        spec.general_ability.flip_null,
        spec.text_overlap.max_new_tokens,
        spec.margins.reference_bits_per_byte,
        spec.gauge.num_samples,
        spec.gauge.margin,
    )


def test_an_evaluation_of_version_2_measures_what_it_measured_then() -> None:
    """Its base was asked once, answers were cut at 96 tokens, eight texts were
    scored, and no margin of either was fixed."""
    document = read_run_spec((GOLDEN / "v2/evaluate.spec.json").read_bytes())
    assert document.digest == "47c1dc15db7cae5cf1ef24f8eb54bcb34c5e28807f89ad4e51f9a8ad1dc4f152"
    assert document.spec.margins == EquivalenceMargins(reference_bits_per_byte=None)
    assert defaults_of(document.spec) == (False, 96, None, 8, None)
    today = json.loads((GOLDEN / "evaluate.json").read_text(encoding="utf-8"))["written"]
    assert defaults_of(read_run_spec(json.dumps(today)).spec) == (
        True,
        None,
        0.01,
        40,
        GAUGE_MARGIN,
    )
    by_hand = read_run_spec(json.dumps(today | {"schema_version": 2})).spec
    assert defaults_of(by_hand) == (False, 96, None, 8, None)
    assert by_hand.margins.rouge1 == 1.0
    without = {
        key: value
        for key, value in today.items()
        if key not in ("general_ability", "text_overlap", "margins")
    }
    found = read_run_spec(json.dumps(without | {"schema_version": 2})).spec
    assert (found.general_ability, found.text_overlap) == (None, None)


@pytest.mark.parametrize("temperature", [0.0, 0.7, None])
def test_a_draft_of_version_1_is_trained_as_it_was_then(temperature) -> None:
    """It says every token, starts from random layers, keeps its last step, and is compared with
    its target at temperature 1; greedy answers are in any case."""
    document = json.loads(stored("logit_distill"))
    document["answers"]["temperature"] = temperature
    if temperature is None:
        del document["answers"]["temperature"]
    spec = read_run_spec(json.dumps(document)).spec
    assert (spec.schema_version, spec.draft.num_output_tokens) == (2, None)
    assert (spec.draft.init, spec.early_stop) == ("random", None)
    assert spec.loss_temperature == ("one" if temperature else "served")
    assert (spec.objective, spec.draft.hidden_size, spec.num_epochs) == ("ce_gold", 32, 8)
    today = {key: value for key, value in document.items() if key != "schema_version"}
    assert read_run_spec(json.dumps(today)).spec.loss_temperature == "served"


@pytest.mark.parametrize("answers", ["all", {"temperature": "warm"}])
def test_what_is_wrong_with_a_distillation_of_version_1_is_said(answers) -> None:
    document = json.loads(stored("logit_distill")) | {"answers": answers}
    with pytest.raises(SpecError, match="answers"):
        read_spec(json.dumps(document))


def test_a_benchmark_of_version_2_probes_two_prompts() -> None:
    document = read_run_spec((GOLDEN / "v2/speculative_decode.spec.json").read_bytes())
    assert document.digest == "ab246b304d1ccd8c13e0b67bdaed7c943755277b86c8c659940de52be634a57b"
    assert document.spec.num_probe_prompts == 2
    assert [arm.method for arm in document.spec.arms] == ["draft_model", "ngram"]
    today = json.loads((GOLDEN / "speculative_decode.json").read_text(encoding="utf-8"))["written"]
    assert read_run_spec(json.dumps(today)).spec.num_probe_prompts == 8
    by_hand = read_run_spec(json.dumps(today | {"schema_version": 2})).spec
    assert by_hand.num_probe_prompts == 2
    assert read_run_spec(stored("speculative_decode")).spec.num_probe_prompts == 2


def test_every_margin_is_of_a_measure_that_can_be_better() -> None:
    """A measure may have none: it is then never called equivalent."""
    judged = {
        one.key for one in MEASURES if one.direction != "neutral" and one.aggregation != "none"
    }
    assert set(EquivalenceMargins.model_fields) <= judged
    assert set(_MEASURES_WITH_MARGINS) <= set(EquivalenceMargins.model_fields)


def test_a_stored_plan_opens_with_its_steps_and_gates_of_today() -> None:
    plan = read_spec(stored("plan")).spec
    step = next(step for step in plan.steps if step.spec.kind == "speculative_decode")
    assert [arm.method for arm in step.spec.arms] == ["draft_model"] * 3 + ["ngram"]
    before = json.loads(stored("plan"))["steps"]
    (gate,) = next(one["gates"] for one in before if one["id"] == step.id)
    assert step.gates[0].metric == upgrade_gate_path("speculative_decode", gate["metric"])
    assert len(execution_order(plan)) == len(before)


@pytest.mark.parametrize(("sheet", "sheets"), [(None, ()), ("问答", ("问答",))])
@pytest.mark.parametrize("names_version", [True, False])
def test_an_import_of_version_1_reads_its_one_sheet(sheet, sheets, names_version) -> None:
    document = json.loads(stored("import_dataset")) | {"sheet": sheet}
    if not names_version:
        del document["schema_version"]
    spec = read_run_spec(json.dumps(document)).spec
    assert (spec.schema_version, spec.sheets, spec.encoding) == (2, sheets, "gb18030")
