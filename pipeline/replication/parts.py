"""The parts of the replication: which checkpoints each makes, and which of them it compares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.references import Reference
from pipeline.demo.plan import FineTuningArm, benchmark, drafts
from pipeline.replication.arms import (
    BASE,
    DOSES,
    FINE_TUNINGS,
    RATES,
    SEEDS,
    Setting,
    fine_tuning_key,
    selection_key,
)

Contrast = tuple[str, str]
"""(baseline, candidate), keys of arms; compared within each seed that both have."""
PartKey = Literal["dose", "sft", "sft_from_base", "learning_rate", "decoding", "chinese"]


def _nothing_further(_setting: Setting) -> Mapping[str, RunSpec]:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Something that the paper claims, and what is run to measure it."""

    key: PartKey
    title: str
    lang: Literal["en", "zh"] = "en"
    seeds_of: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Checkpoints that are evaluated, by arm."""
    contrasts: tuple[Contrast, ...] = ()
    """Judged together: they are one family."""
    further: Callable[[Setting], Mapping[str, RunSpec]] = _nothing_further
    """Steps besides training and evaluating, by id."""
    needs: tuple[str, ...] = ()
    """Arms whose checkpoints of the first seed the further steps read."""
    is_default: bool = False


def checkpoint_step(arm: str, seed: int) -> str:
    """Id of the step that trains a checkpoint."""
    return f"{arm}_seed{seed}"


def evaluation_step(arm: str, seed: int) -> str:
    """Id of the step that evaluates it; the base has one evaluation."""
    return "evaluate_base" if arm == BASE else f"evaluate_{checkpoint_step(arm, seed)}"


def _decoding(setting: Setting) -> Mapping[str, RunSpec]:
    target = Reference(from_step=checkpoint_step(fine_tuning_key("progressive"), 0))
    decoded = benchmark(setting.data, target, setting.budget, 0)
    return {**drafts(setting.data, target, setting.budget, 0), "speculative_decode": decoded}


def tuned_part(rates: Mapping[FineTuningArm, str]) -> Part:
    """The part on learning rates with its arms at the rates that they chose, by name.

    An arm that chose the rate it had is the arm it was: nothing of it is trained again.
    """
    keys = {method: fine_tuning_key(method, rate) for method, rate in rates.items()}
    return Part(
        key="learning_rate",
        title="Learning rate chosen for each arm",
        seeds_of=dict.fromkeys(SELECTION, (0,)) | dict.fromkeys(keys.values(), SEEDS),
        contrasts=_against_controls(keys),
    )


def _against_controls(keys: Mapping[FineTuningArm, str]) -> tuple[Contrast, ...]:
    controls = [key for method, key in keys.items() if method != "progressive"]
    return tuple((control, keys["progressive"]) for control in controls)


_SFT = {method: fine_tuning_key(method) for method in FINE_TUNINGS}
SELECTION = tuple(selection_key(method, rate) for method in FINE_TUNINGS for rate in RATES)
"""Arms that are judged on the development questions."""
PARTS: tuple[Part, ...] = (
    Part(
        key="dose",
        title="Replay and what is kept: the dose curve",
        seeds_of={BASE: (0,)} | dict.fromkeys(DOSES, (0,)),
        contrasts=tuple((BASE, key) for key in DOSES),
        is_default=True,
    ),
    Part(
        key="sft",
        title="Progressive fine-tuning and its controls",
        seeds_of=dict.fromkeys(_SFT.values(), SEEDS),
        contrasts=_against_controls(_SFT),
        is_default=True,
    ),
    Part(
        key="sft_from_base",
        title="Fine-tuning with and without continual pre-training",
        seeds_of={"sft_from_base": SEEDS, _SFT["progressive"]: SEEDS},
        contrasts=(("sft_from_base", _SFT["progressive"]),),
    ),
    Part(
        key="learning_rate",
        title="Learning rate chosen for each arm",
        seeds_of=dict.fromkeys(SELECTION, (0,)),
    ),
    Part(
        key="decoding",
        title="Decoding with a distilled draft",
        further=_decoding,
        needs=(_SFT["progressive"],),
    ),
    Part(
        key="chinese",
        title="The Chinese row",
        lang="zh",
        seeds_of={
            BASE: (0,),
            "cpt": (0,),
            _SFT["progressive"]: (0,),
            _SFT["single_stage"]: (0,),
        },
        contrasts=((BASE, "cpt"), (_SFT["single_stage"], _SFT["progressive"])),
    ),
)
PART_OF: Mapping[str, Part] = {part.key: part for part in PARTS}
