"""What a decoding benchmark reports about each arm, from what the arm produced.

Every figure is a formula of `pipeline.metrics` on counts and times; a figure that cannot be
measured in an engine (vLLM's step costs) is absent, never guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.contracts.decoding_results import (
    ArmResults,
    DecodingCosts,
    LosslessnessResults,
    Prediction,
    StoreFigures,
)
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.sampling_test import SamplingTestDone, SamplingTestNotRun
from pipeline.decoding.base import Completion, SpeculationStats
from pipeline.metrics import acceptance, speculation
from pipeline.metrics.speedup import speedup_interval
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
    prediction: Prediction | None = None
    store: StoreFigures | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What one arm produced: completions by prompt and repeat."""

    completions: list[list[Completion]]

    def seconds_per_token(
        self, prompts: Sequence[int], *, with_prefill: bool = False
    ) -> list[list[float]]:
        """[prompt][repeat] decode seconds for each token after the first, for these prompts; with
        prefill all seconds for each token."""
        return [
            [
                (one.prefill_seconds + one.decode_seconds) / len(one.token_ids)
                if with_prefill
                else one.decode_seconds / (len(one.token_ids) - 1)
                for one in self.completions[prompt]
            ]
            for prompt in prompts
        ]

    def first(self) -> list[Completion]:
        """The first repeat's completion of each prompt."""
        return [repeats[0] for repeats in self.completions]


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """Every arm and what it produced, by name, the target alone first."""

    arms: dict[str, Arm]
    measured: dict[str, Measurement]
    losslessness: LosslessnessResults | None = None
    """None for sampled answers: two arms may draw different ones and both be right."""
    sampling: dict[str, SamplingTestDone | SamplingTestNotRun] = field(default_factory=dict)
    """Of every arm that `losslessness` judges."""
    decoding: str
    """What computed the forward passes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Predicted:
    """What acceptance and costs say; all None where there are no costs."""

    break_even_acceptance: float | None = None
    predicted_speedup: float | None = None
    oracle_bound: float | None = None


def arm_figures(arm: Arm, measured: Measurement, baseline: Measurement, *, seed: int) -> ArmResults:
    """Everything the report says about one arm."""
    completions = [one for repeats in measured.completions for one in repeats]
    num_tokens = sum(len(one.token_ids) for one in completions)
    decode_seconds = sum(one.decode_seconds for one in completions)
    num_after_first = num_tokens - len(completions)
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
    speedup = _speedup(measured, baseline, timed, seed)
    counts = _summed(completions)
    predicted = _predicted(arm, counts)
    bound = predicted.oracle_bound
    return ArmResults(
        tokens_per_second=num_after_first / decode_seconds if decode_seconds > 0 else None,
        prefill_seconds=sum(one.prefill_seconds for one in completions) / len(completions),
        decode_seconds=decode_seconds / len(completions),
        num_output_tokens=num_tokens,
        repeated_4gram_rate=sum(repeated_4gram_rate(one.token_ids) for one in measured.first())
        / len(measured.completions),
        speedup=speedup,
        speedup_without_repetitive_answers=_speedup(measured, baseline, varied, seed),
        num_speculative_tokens=arm.num_speculative_tokens,
        num_parameters=arm.num_parameters,
        mean_acceptance_length=acceptance.mean_acceptance_length(
            counts.num_drafts, counts.num_accepted_tokens
        ),
        draft_acceptance_rate=acceptance.draft_acceptance_rate(
            counts.num_draft_tokens, counts.num_accepted_tokens
        ),
        acceptance_per_position=acceptance.position_acceptance(
            counts.accepted_per_position, counts.num_drafts
        ),
        block_efficiency=acceptance.block_efficiency(
            num_tokens, len(completions), counts.num_target_steps
        ),
        costs=arm.costs,
        probed_survival=arm.survival or None,
        break_even_acceptance=predicted.break_even_acceptance,
        predicted_speedup=predicted.predicted_speedup,
        oracle_bound=bound,
        fraction_of_oracle_bound=speedup.value / bound if speedup and bound else None,
        end_to_end_speedup=_speedup(measured, baseline, timed, seed, with_prefill=True),
        prediction=arm.prediction,
        measured_over_predicted=_over_predicted(speedup, arm.prediction),
        is_measured_in_interval=_is_in_interval(speedup, arm.prediction),
        store=arm.store,
    )


def _over_predicted(speedup: Estimate | None, prediction: Prediction | None) -> float | None:
    if speedup is None or prediction is None:
        return None
    return speedup.value / prediction.speedup.value


def _is_in_interval(speedup: Estimate | None, prediction: Prediction | None) -> bool | None:
    bounds = None if prediction is None else prediction.speedup.interval
    if speedup is None or bounds is None:
        return None
    return bounds[0] <= speedup.value <= bounds[1]


def _speedup(
    measured: Measurement,
    baseline: Measurement,
    prompts: Sequence[int],
    seed: int,
    *,
    with_prefill: bool = False,
) -> Estimate | None:
    """None for the baseline itself, and where no prompt's time can be compared."""
    if measured is baseline or not prompts:
        return None
    return speedup_interval(
        baseline.seconds_per_token(prompts, with_prefill=with_prefill),
        measured.seconds_per_token(prompts, with_prefill=with_prefill),
        seed=seed,
    )


def _predicted(arm: Arm, counts: SpeculationStats) -> _Predicted:
    if arm.costs is None:
        return _Predicted()
    c, v, h = arm.costs.c, arm.costs.v, arm.costs.h
    # Where some drafts are looked up a drafted token takes less than one step of the model.
    c_of_token = c * counts.num_model_steps / max(1, counts.num_draft_tokens)
    num_rounds = counts.num_target_steps
    # Over all rounds, not only those with a draft: a lookup finds nothing in many.
    survival = acceptance.position_acceptance(counts.accepted_per_position, num_rounds)
    survival = survival or (0.0,) * (arm.num_speculative_tokens or 0)
    cost = speculation.mean_round_cost(
        max(1, num_rounds), counts.num_drafts, counts.num_draft_tokens, c_of_token, v
    )
    return _Predicted(
        break_even_acceptance=speculation.break_even_acceptance(c, v[1]),
        predicted_speedup=(1.0 + sum(survival)) / (cost + h) if cost + h > 0 else None,
        # On a busy machine h can say that a round without a draft costs nothing: no bound then.
        oracle_bound=(
            speculation.oracle_bound(survival, c_of_token, v, h) if min(v) + h > 0 else None
        ),
    )


def _summed(completions: Sequence[Completion]) -> SpeculationStats:
    """The counts of all answers together; zero where nothing was drafted."""
    stats = [one.speculation for one in completions if one.speculation is not None]
    return SpeculationStats(
        num_drafts=sum(one.num_drafts for one in stats),
        num_draft_tokens=sum(one.num_draft_tokens for one in stats),
        num_accepted_tokens=sum(one.num_accepted_tokens for one in stats),
        accepted_per_position=tuple(
            sum(counts) for counts in zip(*(s.accepted_per_position for s in stats), strict=True)
        ),
        num_target_steps=sum(one.num_target_steps for one in stats),
        num_model_steps=sum(one.num_model_steps for one in stats),
    )
