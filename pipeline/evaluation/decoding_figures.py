"""What a decoding benchmark reports about each arm, from what the arm produced.

Every figure is a formula of `pipeline.metrics.decoding` on counts and times; a figure that cannot
be measured in an engine (vLLM's step costs) is absent, never guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.contracts.decoding_results import ArmResults, DecodingCosts
from pipeline.contracts.estimates import Estimate
from pipeline.decoding.base import Completion
from pipeline.metrics import decoding as formulas
from pipeline.metrics.text_overlap import repeated_4gram_rate

REPETITIVE = 0.2
"""An answer with this share of repeated 4-grams is easy to draft and nothing to be proud of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """What was known of one way to decode before it was timed; nothing of the target alone."""

    num_speculative_tokens: int | None = None
    costs: DecodingCosts | None = None
    survival: tuple[float, ...] = ()
    """Share of rounds whose drafts were accepted up to position 1, 2, ..., before the benchmark."""
    num_parameters: int | None = None
    """Parameters of the models that draft."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What one arm produced: completions by prompt and repeat."""

    completions: list[list[Completion]]

    def seconds_per_token(self, prompts: Sequence[int]) -> list[list[float]]:
        """[prompt][repeat] decode seconds for each token after the first, for these prompts."""
        return [
            [one.decode_seconds / (len(one.token_ids) - 1) for one in self.completions[prompt]]
            for prompt in prompts
        ]

    def first(self) -> list[Completion]:
        """The first repeat's completion of each prompt."""
        return [repeats[0] for repeats in self.completions]


def survival_of(completions: Sequence[Completion]) -> tuple[float, ...] | None:
    """Share of rounds whose draft was accepted up to position 1, 2, ...; None without a draft."""
    stats = [one.speculation for one in completions if one.speculation is not None]
    num_drafts = sum(one.num_drafts for one in stats)
    accepted = [
        sum(counts) for counts in zip(*(s.accepted_per_position for s in stats), strict=True)
    ]
    survival = formulas.position_acceptance(accepted, num_drafts)
    return None if survival is None else tuple(survival)


def arm_figures(arm: Arm, measured: Measurement, baseline: Measurement, *, seed: int) -> ArmResults:
    """Everything the report says about one arm."""
    completions = [one for repeats in measured.completions for one in repeats]
    num_tokens = sum(len(one.token_ids) for one in completions)
    decode_seconds = sum(one.decode_seconds for one in completions)
    num_after_first = num_tokens - len(completions)
    figures: dict[str, Any] = {
        "tokens_per_second": num_after_first / decode_seconds if decode_seconds > 0 else None,
        "prefill_seconds": sum(one.prefill_seconds for one in completions) / len(completions),
        "decode_seconds": decode_seconds / len(completions),
        "num_output_tokens": num_tokens,
        "repeated_4gram_rate": sum(repeated_4gram_rate(one.token_ids) for one in measured.first())
        / len(measured.completions),
    }
    if measured is baseline:
        return ArmResults(**figures)
    # An answer of one token has no decode time.
    timed = [
        index
        for index, repeats in enumerate(
            zip(measured.completions, baseline.completions, strict=True)
        )
        if all(len(one.token_ids) > 1 for arm_repeats in repeats for one in arm_repeats)
    ]
    varied = [
        index
        for index in timed
        if repeated_4gram_rate(baseline.completions[index][0].token_ids) < REPETITIVE
    ]
    figures["speedup"] = _speedup(measured, baseline, timed, seed)
    figures["speedup_without_repetitive_answers"] = _speedup(measured, baseline, varied, seed)
    return ArmResults(**figures, **_speculation_figures(arm, completions, figures["speedup"]))


def _speedup(
    measured: Measurement, baseline: Measurement, prompts: Sequence[int], seed: int
) -> Estimate | None:
    if not prompts:
        return None
    return formulas.speedup_interval(
        baseline.seconds_per_token(prompts), measured.seconds_per_token(prompts), seed=seed
    )


def _speculation_figures(
    arm: Arm, completions: Sequence[Completion], speedup: Estimate | None
) -> dict[str, Any]:
    stats = [one.speculation for one in completions if one.speculation is not None]
    num_drafts = sum(one.num_drafts for one in stats)
    num_accepted = sum(one.num_accepted_tokens for one in stats)
    accepted = [
        sum(counts) for counts in zip(*(s.accepted_per_position for s in stats), strict=True)
    ]
    num_steps = sum(one.num_target_steps for one in stats)
    num_drafted = sum(one.num_draft_tokens for one in stats)
    length = arm.num_speculative_tokens or 0
    figures: dict[str, Any] = {
        "num_speculative_tokens": length,
        "num_parameters": arm.num_parameters,
        "mean_acceptance_length": formulas.mean_acceptance_length(num_drafts, num_accepted),
        "draft_acceptance_rate": formulas.draft_acceptance_rate(num_drafted, num_accepted),
        "acceptance_per_position": formulas.position_acceptance(accepted, num_drafts),
        "block_efficiency": formulas.block_efficiency(
            sum(len(one.token_ids) for one in completions),
            len(completions),
            num_steps,
        ),
    }
    if arm.costs is None:
        return figures
    c, v, h = arm.costs.c, arm.costs.v, arm.costs.h
    # Over all rounds, not only those with a draft: a lookup finds nothing in many.
    survival = formulas.position_acceptance(accepted, num_steps) or [0.0] * length
    cost = formulas.mean_round_cost(max(1, num_steps), num_drafts, num_drafted, c, v) + h
    predicted = (1.0 + sum(survival)) / cost
    bound = formulas.oracle_bound(survival, c, v, h)
    return figures | {
        "costs": arm.costs,
        "probed_survival": arm.survival,
        "break_even_acceptance": formulas.break_even_acceptance(c, v[1]),
        "predicted_speedup": predicted,
        "oracle_bound": bound,
        "fraction_of_oracle_bound": speedup.value / bound if speedup else None,
    }
