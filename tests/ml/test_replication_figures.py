"""The replication's plan as a document, and how seeds are put together: by hand and by rule."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import EvaluateResults, TextOverlapResults
from pipeline.contracts.evaluation_spec import EquivalenceMargins
from pipeline.contracts.gauge_results import GaugeReason, GaugeVerdict
from pipeline.contracts.plans import execution_order
from pipeline.contracts.references import Reference
from pipeline.contracts.samples import MEASURES
from pipeline.contracts.verdicts import Verdict
from pipeline.demo.data_files import DemonstrationData
from pipeline.metrics.decisions import Word
from pipeline.replication.arms import BUDGET, DOSES, RATES, SEEDS, Setting
from pipeline.replication.comparison import compare_family, over_seeds, pair_rows
from pipeline.replication.parts import PART_OF, PARTS, checkpoint_step, tuned_part
from pipeline.replication.plan import build_plan
from pipeline.replication.rates import chosen_rate
from pipeline.replication.words import dose_advice, shown

DATA_DIR = Path(__file__).resolve().parents[2] / "examples/soae_demo"
DEFAULT = [part for part in PARTS if part.is_default]


def setting_of(lang: str = "en") -> Setting:
    return Setting(data=DemonstrationData(DATA_DIR, lang), base=Reference(path="base"))


def test_arms_of_fine_tuning_differ_in_data_and_order_alone() -> None:
    plan = build_plan([PART_OF["sft"]], setting_of())
    specs = {step.id: step.spec for step in plan.steps}
    for seed in SEEDS:
        progressive, single, expert = (
            specs[checkpoint_step(f"sft_{arm}", seed)]
            for arm in ("progressive", "single_stage", "expert_only")
        )
        assert progressive.model.from_step == "cpt_seed0"
        for control in (single, expert):
            for shared in ("model", "optimizer", "batch", "seed", "dtype", "device"):
                assert getattr(control, shared) == getattr(progressive, shared)
            assert sum(stage.num_tokens for stage in control.stages) == 2 * BUDGET.sft_stage_tokens
        assert single.stages == progressive.stages
        (stage,) = expert.stages
        assert stage.datasets == progressive.stages[1].datasets
        assert (stage.replay_fraction, expert.mode) == (0.0, "single_stage")


def test_doses_differ_in_replay_alone() -> None:
    plan = build_plan([PART_OF["dose"]], setting_of())
    specs = {step.id: step.spec for step in plan.steps}
    shares = {}
    for key in DOSES:
        spec = specs[checkpoint_step(key, 0)]
        weights = {source.name: source.weight for source in spec.sources}
        shares[key] = weights.get("general_replay", 0.0) / sum(weights.values())
        assert spec.num_tokens == BUDGET.cpt_tokens
    assert shares == pytest.approx(dict(DOSES))
    assert list(DOSES) == ["cpt_replay_0", "cpt_replay_5", "cpt"]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.key)
def test_every_part_is_a_plan_of_its_own_and_a_piece_of_the_whole(part) -> None:
    setting = setting_of(part.lang)
    plan = build_plan([part], setting)
    order = [step.id for step in execution_order(plan)]
    assert order == [step.id for step in plan.steps], "written in an order that can be run"
    whole = build_plan([one for one in PARTS if one.lang == part.lang], setting)
    assert {(step.id, step.spec) for step in plan.steps} <= {
        (step.id, step.spec) for step in whole.steps
    }


def test_learning_rates_are_never_chosen_by_test_questions() -> None:
    setting = setting_of()
    development = set(setting.data.splits.development_documents)
    assert not development & set(setting.data.splits.unseen_documents)
    plan = build_plan([PART_OF["learning_rate"]], setting)
    for step in plan.steps:
        if step.id.startswith("evaluate_dev_"):
            dataset = step.spec.text_overlap.dataset
            assert dataset.path.endswith("sft_expert.en.jsonl")
            assert [set(one.values) for one in dataset.where if one.keep] == [development]
            assert (step.spec.general_ability, step.spec.gauge) == (None, None)
        elif step.id.startswith("dev_"):
            kept_out = set().union(*(one.values for one in step.spec.stages[-1].datasets[0].where))
            assert development <= kept_out


def test_an_arm_that_keeps_its_rate_is_not_trained_again() -> None:
    setting = setting_of()
    known = {step.id for step in build_plan([*DEFAULT, PART_OF["learning_rate"]], setting).steps}
    kept = tuned_part(dict.fromkeys(("progressive", "single_stage", "expert_only"), "same"))
    assert {step.id for step in build_plan([*DEFAULT, kept], setting).steps} == known
    rates = {"progressive": "double", "single_stage": "same", "expert_only": "half"}
    further = {step.id for step in build_plan([*DEFAULT, tuned_part(rates)], setting).steps} - known
    assert len(further) == 2 * 2 * len(SEEDS)
    spec = next(
        step.spec
        for step in build_plan([tuned_part(rates)], setting).steps
        if step.id == "sft_progressive_double_seed1"
    )
    assert spec.optimizer.learning_rate == RATES["double"] == 1e-4
    assert spec.seed == 1


def test_a_rate_is_taken_by_the_development_figure() -> None:
    def evaluation(bits: float):
        overlap = TextOverlapResults(
            n=1,
            num_empty=0,
            figures={"reference_bits_per_byte": bits},
            brevity_penalty=1.0,
            mean_reference_tokens=1.0,
            rouge_signature="",
            bleu_signature="",
        )
        return EvaluateResults(text_overlap=overlap)

    figures = {"half": 1.12, "same": 1.05, "double": 1.09}
    evaluations = {f"dev_progressive_{rate}": evaluation(one) for rate, one in figures.items()}
    assert chosen_rate(evaluations, "progressive") == "same"


def verdict(
    word: str, *, passages_needed: int | None = None, divergence: float = 0.04
) -> GaugeVerdict:
    return GaugeVerdict(
        verdict=Verdict(word),
        reason=GaugeReason.INTERVAL,
        margin=0.05,
        kl_bits_per_byte=Estimate(value=divergence, n=40, num_units=40),
        base_bits_per_byte=0.9,
        bits_per_byte_ratio=None,
        passages_needed=passages_needed,
    )


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("PASS", "PASS", "PASS"), "Take 0% replay: the smallest"),
        (("FAIL", "PASS", "PASS"), "Take 5% replay: the smallest"),
        (("INCONCLUSIVE", "INCONCLUSIVE", "PASS"), "Take 20% replay: the smallest"),
        (("FAIL", "PASS", "FAIL"), "With 20% it is FAIL"),
        (("FAIL", "INCONCLUSIVE", "INCONCLUSIVE"), "160 passages for 5%; 160 passages for 20%."),
        (("FAIL", "FAIL", "FAIL"), "Every share up to 20% fails"),
    ],
)
def test_advice_on_replay_is_the_smallest_share_that_passes(words, advice) -> None:
    judged = {
        share: verdict(word, passages_needed=160 if word == "INCONCLUSIVE" else None)
        for share, word in zip(DOSES.values(), words, strict=True)
    }
    assert advice in dose_advice(judged)


@pytest.mark.parametrize(
    ("divergences", "advice"),
    [
        ((0.08, 0.07, 0.06), "or replay more."),
        ((0.07, 0.06, 0.08), "with more replay than 5% the model moved no less."),
    ],
)
def test_more_replay_is_advised_only_where_it_helped(divergences, advice) -> None:
    judged = {
        share: verdict("FAIL", divergence=one)
        for share, one in zip(DOSES.values(), divergences, strict=True)
    }
    assert dose_advice(judged).endswith(advice)


def test_a_share_on_the_margin_is_settled_by_no_number() -> None:
    assert "lies on the margin" in dose_advice({0.0: verdict("INCONCLUSIVE")})
    assert dose_advice({}).startswith("None:")


def row(item: int, rouge1: float, *, document: str = "", seen: bool = True) -> dict[str, object]:
    counts = [12, 12, 6, 5, 4, 3, 12, 11, 10, 9]
    return {
        "item_id": f"q{item:02}", "cluster": document or None, "document_seen": seen,
        "rouge1": rouge1, "rouge2": 1.0, "rougeL": 1.0, "bleu_statistics": counts,
        "num_answer_tokens": 5, "cut_at_cap": False, "repeated_4gram_rate": 0.0,
    }  # fmt: skip


def compared(seeds: dict[int, tuple[list, list]], measure: str = "rouge1"):
    pairs = {seed: pair_rows("text_overlap", *sides) for seed, sides in seeds.items()}
    (result,) = compare_family({("a", "b"): [pairs]}, EquivalenceMargins())
    return result.measures[measure]


def test_seeds_are_put_together_by_hand() -> None:
    """Two seeds, two documents with one and two questions: every figure worked out by hand."""

    def answers(first: float, second: float, third: float) -> list[dict[str, object]]:
        return [
            row(1, first, document="x"),
            row(2, second, document="y", seen=False),
            row(3, third, document="y"),
        ]

    seeds = {
        0: (answers(10, 20, 30), answers(14, 20, 35)),
        7: (answers(11, 19, 30), answers(10, 19, 28)),
    }
    found = compared(seeds)
    # Seed 0: (4 + 0 + 5) / 3; seed 7: (-1 + 0 - 2) / 3.
    assert {seed: one.difference.value for seed, one in found.by_seed.items()} == {0: 3.0, 7: -1.0}
    assert found.spread == (-1.0, 3.0)
    assert found.ratio_spread == pytest.approx((57 / 60, 69 / 60))
    assert found.mean.difference.value == pytest.approx(1.0)
    assert found.mean.ratio.value == pytest.approx(126 / 120)
    assert (found.mean.n, found.mean.num_units) == (6, 2)
    assert found.unseen.difference.value == 0.0
    assert found.unseen.n == 2
    # Two units are far below what a word needs.
    assert found.judgement.word is Word.NOT_DECIDED


def test_a_reference_counts_by_its_bytes_in_every_seed() -> None:
    def answers(*bits: float) -> list[dict[str, object]]:
        sizes = (10, 30)
        return [
            row(item, 1.0) | {"reference_bits_per_byte": one, "num_reference_bytes": sizes[item]}
            for item, one in enumerate(bits)
        ]

    seeds = {0: (answers(1.0, 2.0), answers(0.8, 1.9)), 1: (answers(1.0, 2.0), answers(1.0, 2.1))}
    found = compared(seeds, "reference_bits_per_byte")
    # (10 x -0.2 + 30 x -0.1) / 40 and 30 x 0.1 / 40.
    changes = [one.difference.value for one in found.by_seed.values()]
    assert changes == pytest.approx([-0.125, 0.075])
    assert found.mean.difference.value == pytest.approx(-0.025)
    assert found.judgement.margin == EquivalenceMargins().reference_bits_per_byte


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.key)
def test_every_measure_can_be_shown(measure) -> None:
    assert shown(measure.key, 0.5, signed=True).startswith("+")
    assert shown(measure.key, None) == "-"


def test_a_question_with_three_seeds_counts_once() -> None:
    """Copies of one seed narrow nothing: the interval is over questions."""
    baseline = [row(item, 20 + item % 5) for item in range(40)]
    candidate = [row(item, 21 + (item * 7) % 5) for item in range(40)]
    one = compared({0: (baseline, candidate)})
    three = compared(dict.fromkeys(range(3), (baseline, candidate)))
    assert three.mean.num_units == one.mean.num_units == 40
    assert three.mean.difference.value == pytest.approx(one.mean.difference.value)
    for bound in ("low", "high"):
        assert getattr(three.mean.difference, bound) == pytest.approx(
            getattr(one.mean.difference, bound)
        )
    assert three.judgement.adjusted_p == pytest.approx(one.judgement.adjusted_p, abs=0.02)


scores = st.lists(st.integers(0, 100).map(float), min_size=8, max_size=8)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.tuples(scores, scores), min_size=3, max_size=3), st.permutations(range(3)))
def test_the_order_of_the_seeds_does_not_matter(values, order) -> None:
    seeds = {
        seed: tuple([row(item, one) for item, one in enumerate(side)] for side in sides)
        for seed, sides in enumerate(values)
    }
    assert compared({seed: seeds[seed] for seed in order}) == compared(seeds)


def test_a_measure_that_one_seed_lacks_is_left_out() -> None:
    with_it = pair_rows("text_overlap", [row(1, 1.0)], [row(1, 2.0)])
    lacking = {key: value for key, value in row(1, 1.0).items() if key != "rouge2"}
    without = pair_rows("text_overlap", [lacking], [row(1, 2.0)])
    keys = [measure.key for measure in over_seeds({0: with_it, 1: without}).measures]
    assert "rouge2" not in keys
    assert "rouge1" in keys
