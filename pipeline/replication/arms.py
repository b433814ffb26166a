"""What is trained, from what, and with what in common with its controls: one row for each arm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.contracts.references import Reference
from pipeline.contracts.training_specs import ContinualPretrainSpec, CurriculumSftSpec
from pipeline.demo.data_files import DemonstrationData
from pipeline.demo.plan import (
    REPLAY_SHARE,
    TRAINING_OPTIMIZER,
    Budget,
    FineTuningArm,
    continual_pretrain,
    fine_tuning,
)

BUDGET = Budget(
    num_answers=72, max_new_tokens=144, num_questions=128, num_gauge_texts=40, bench_prompts=20
)
"""Trains as the demonstration does and asks more: answers as long as the longest references in
tokens of SmolLM2, every general question that may be asked, a text for every passage."""
SEEDS = (0, 1, 2)
BASE = "base"
"""Key of the model that nothing was done to."""
TrainingSpec = ContinualPretrainSpec | CurriculumSftSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What all runs in one language have in common."""

    data: DemonstrationData
    base: Reference
    budget: Budget = BUDGET


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """A way to train; with a seed it makes a checkpoint."""

    key: str
    title: str
    start: str
    """Key of the arm whose checkpoint of the first seed it starts from."""
    train: Callable[[Setting, Reference, int], TrainingSpec]
    """The spec for a start and a seed."""
    judged_on: Literal["test", "development"] = "test"


def dose_key(replay_share: float) -> str:
    """The key of continual pre-training with this share of replay; that of the method is `cpt`."""
    return "cpt" if replay_share == REPLAY_SHARE else f"cpt_replay_{replay_share * 100:.0f}"


DOSES: Mapping[str, float] = {dose_key(share): share for share in (0.0, 0.05, REPLAY_SHARE)}
"""Share of replay by arm, smallest first."""

FINE_TUNINGS: Mapping[FineTuningArm, str] = {
    "progressive": "progressive",
    "single_stage": "single stage",
    "expert_only": "expert data alone",
}
RATES: Mapping[str, float] = {
    name: factor * TRAINING_OPTIMIZER.learning_rate
    for name, factor in (("half", 0.5), ("same", 1.0), ("double", 2.0))
}
"""Learning rates that an arm of fine-tuning may choose from."""


def fine_tuning_key(method: FineTuningArm, rate: str = "same") -> str:
    """The key of an arm of fine-tuning at one of `RATES`."""
    return f"sft_{method}" if rate == "same" else f"sft_{method}_{rate}"


def selection_key(method: FineTuningArm, rate: str) -> str:
    """The key of the same without the development questions, which then judge it."""
    return f"dev_{method}_{rate}"


def _dose(key: str, share: float) -> Arm:
    return Arm(
        key=key,
        title=f"CPT, {share:.0%} replay",
        start=BASE,
        train=lambda setting, start, seed: continual_pretrain(
            setting.data, start, setting.budget, seed, replay_share=share
        ),
    )


def _tuned(key: str, method: FineTuningArm, rate: float, *, start: str, title: str) -> Arm:
    return Arm(
        key=key,
        title=title,
        start=start,
        train=lambda setting, model, seed: fine_tuning(
            setting.data, method, setting.budget, seed, start=model, learning_rate=rate
        ),
    )


def _selected(method: FineTuningArm, rate_name: str) -> Arm:
    return Arm(
        key=selection_key(method, rate_name),
        title=f"{FINE_TUNINGS[method]}, rate {RATES[rate_name]:g}",
        start="cpt",
        train=lambda setting, start, seed: fine_tuning(
            setting.data,
            method,
            setting.budget,
            seed,
            start=start,
            learning_rate=RATES[rate_name],
            withheld=(setting.data.without_development("meta.doc_id"),),
        ),
        judged_on="development",
    )


def _all_arms() -> tuple[Arm, ...]:
    doses = [_dose(key, share) for key, share in DOSES.items()]
    tuned, selected = [], []
    for method, title in FINE_TUNINGS.items():
        for name, rate in RATES.items():
            named = title if name == "same" else f"{title}, rate {rate:g}"
            key = fine_tuning_key(method, name)
            tuned.append(_tuned(key, method, rate, start="cpt", title=named))
            selected.append(_selected(method, name))
    from_base = _tuned(
        "sft_from_base",
        "progressive",
        TRAINING_OPTIMIZER.learning_rate,
        start=BASE,
        title="progressive, without CPT",
    )
    return (*doses, *tuned, from_base, *selected)


ARMS: Mapping[str, Arm] = {arm.key: arm for arm in _all_arms()}
