"""Acceptance, cost and speedup of speculative decoding, as pure functions of counts and times.

Symbols follow the literature. g: drafted tokens per round. S_i: survival, the probability that the
first i drafted tokens are all accepted. In units of one plain target step, same batch and context:
c, one draft step; v(g), the target's pass over g + 1 tokens, so v(0) = 1; h, what a round costs
beyond that (sampling, bookkeeping). `survival[i - 1]` is S_i; `v[g]` is v(g).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from pipeline.contracts.estimates import Estimate
from pipeline.errors import DataError, DecodingError, EvaluationError
from pipeline.metrics.uncertainty import LEVEL, NUM_RESAMPLES, FloatArray, estimate

# Resamples whose medians are taken at once: 256 x 1,000 prompts x 5 repeats are 10 MB.
_CHUNK = 256


def mean_acceptance_length(num_drafts: int, num_accepted_tokens: int) -> float | None:
    """Returns tokens per verified round, the target's own token included; None without a draft.

    Definition: 1 + accepted / drafts.
    Direction: higher is better, at most g + 1. vLLM's counters include tokens accepted behind a
        stop token, so its short answers read too high; our engine's do not.
    Source: vLLM `SpecDecodingLogging`; Leviathan et al. 2023 (arXiv 2211.17192).

    Raises:
        DecodingError: `decode.engine_failed`, a count is negative.
    """
    _check_counts(num_drafts=num_drafts, num_accepted_tokens=num_accepted_tokens)
    return 1.0 + num_accepted_tokens / num_drafts if num_drafts else None


def draft_acceptance_rate(num_draft_tokens: int, num_accepted_tokens: int) -> float | None:
    """Returns the share of drafted tokens that was accepted; None without a drafted token.

    Definition: accepted / drafted tokens.
    Direction: higher is better; falls with g for the same draft, so never compare across g.
    Source: vLLM `SpecDecodingLogging`.

    Raises:
        DecodingError: `decode.engine_failed`, a count is negative or accepted exceeds drafted.
    """
    _check_counts(num_accepted_tokens=num_accepted_tokens, num_draft_tokens=num_draft_tokens)
    _check_at_most("num_accepted_tokens", num_accepted_tokens, "num_draft_tokens", num_draft_tokens)
    return num_accepted_tokens / num_draft_tokens if num_draft_tokens else None


def position_acceptance(
    accepted_per_position: Sequence[int], num_drafts: int
) -> tuple[float, ...] | None:
    """Returns S_1..S_g as measured: the share of rounds that accepted each position.

    Definition: accepted_per_position[i] / drafts. None without a draft.
    Direction: higher is better; never rises with the position. A round that drafted fewer tokens
        (end of the answer) counts as not accepted there.
    Source: vLLM's per-position acceptance rate.

    Raises:
        DecodingError: `decode.engine_failed`, counts are negative or rise with the position.
    """
    _check_positions(accepted_per_position, num_drafts)
    if not num_drafts:
        return None
    return tuple(accepted / num_drafts for accepted in accepted_per_position)


def conditional_acceptance(
    accepted_per_position: Sequence[int], num_drafts: int
) -> tuple[float | None, ...]:
    """Returns a_1..a_g: acceptance of each position given that all before it were accepted.

    Definition: accepted at i / accepted at i - 1, the first by drafts; None where none got there.
    Direction: higher is better; flat when positions are alike, falling when the draft drifts.
    Source: SPEED-Bench (arXiv 2604.09557), conditional acceptance rate.

    Raises:
        DecodingError: `decode.engine_failed`, counts are negative or rise with the position.
    """
    _check_positions(accepted_per_position, num_drafts)
    reached = pairwise((num_drafts, *accepted_per_position))
    return tuple(after / before if before else None for before, after in reached)


def block_efficiency(
    num_output_tokens: int, num_requests: int, num_target_decode_steps: int
) -> float | None:
    """Returns tokens per target decode step, counted on what was put out; None without a step.

    Definition: (output tokens - requests) / target decode steps; prefill gives each request its
        first token.
    Direction: higher is better; 1 without speculation. Counts rounds without a draft and nothing
        behind a stop token, unlike `mean_acceptance_length`.
    Source: block efficiency of Leviathan et al. 2023, taken from the output.

    Raises:
        DecodingError: `decode.engine_failed`, a count is negative or a request has no output.
    """
    _check_counts(
        num_output_tokens=num_output_tokens,
        num_requests=num_requests,
        num_target_decode_steps=num_target_decode_steps,
    )
    _check_at_most("num_requests", num_requests, "num_output_tokens", num_output_tokens)
    if not num_target_decode_steps:
        return None
    return (num_output_tokens - num_requests) / num_target_decode_steps


def expected_tokens_per_round(survival: Sequence[float], g: int) -> float:
    """Returns tau(g), the tokens a round of g drafted tokens yields on average.

    Definition: 1 + S_1 + ... + S_g; (1 - a^(g+1)) / (1 - a) where each is accepted with chance a.
    Direction: higher is better, at most g + 1.
    Source: Leviathan et al. 2023 (arXiv 2211.17192), equation 1.
    """
    _check_survival(survival, g)
    return 1.0 + sum(survival[:g])


def predicted_speedup(
    survival: Sequence[float], c: float, v: Sequence[float], h: float, g: int
) -> float:
    """Returns how many times faster than plain decoding rounds of g drafted tokens are.

    Definition: tau(g) / (g c + v(g) + h).
    Direction: higher is better; below 1 speculation slows down.
    Source: Leviathan et al. 2023 (arXiv 2211.17192), theorem 3.8, with v(g) and h measured rather
        than taken as 1 and 0.

    Args:
        survival: S_1 .. S_G, G >= g.
        c: draft step in target steps.
        v: v(0) .. v(G), G >= g, in target steps.
        h: overhead of a round in target steps.
        g: drafted tokens per round.
    """
    _check_costs(c, v, h, g)
    return expected_tokens_per_round(survival, g) / (g * c + v[g] + h)


def mean_round_cost(
    num_target_steps: int, num_drafts: int, num_draft_tokens: int, c: float, v: Sequence[float]
) -> float:
    """Returns what rounds cost on average, in target steps and without h.

    Definition: s (d c + v(d)) + (1 - s) v(0), s being the share of rounds with a draft and d the
        tokens of a draft; v is interpolated.
    Direction: lower is better. For drafts that are not there in every round (n-gram lookup); with
        a draft of g tokens in each it is g c + v(g).
    Source: the cost in `predicted_speedup`, over the rounds that took place.

    Args:
        num_target_steps: rounds, at least 1.
        num_drafts: rounds with at least one drafted token.
        num_draft_tokens: drafted tokens of all rounds.
        c: draft step in target steps.
        v: v(0) .. v(G), in target steps.

    Raises:
        DecodingError: `decode.engine_failed`, a count is negative or drafts exceed rounds.
    """
    _check_counts(num_drafts=num_drafts, num_draft_tokens=num_draft_tokens)
    _check_at_most("num_drafts", num_drafts, "num_target_steps", num_target_steps)
    length = num_draft_tokens / num_drafts if num_drafts else 0.0
    _check_costs(c, v, 0.0, math.ceil(length))
    drafted = length * c + float(np.interp(length, np.arange(len(v)), v))
    share = num_drafts / num_target_steps
    return share * drafted + (1.0 - share) * v[0]


def break_even_acceptance(c: float, v1: float) -> float:
    """Returns the acceptance of the first token above which drafting one token pays (h = 0).

    Definition: c + v(1) - 1.
    Direction: lower is better; at 1 or more one drafted token can never pay.
    Source: `predicted_speedup` > 1 at g = 1, h = 0. Where each further token costs the target at
        least v(1) - 1, no longer draft pays either; where v jumps at the first token and is flat
        afterwards (small matrices on a CPU), compare `predicted_speedup` over all g instead.
    """
    return c + v1 - 1.0


def oracle_bound(survival: Sequence[float], c: float, v: Sequence[float], h: float) -> float:
    """Returns the speedup were the number of tokens that will be accepted known before each round.

    Definition: E[A + 1] / E[A c + v(A) + h], A being the run of accepted tokens, P(A >= i) = S_i.
        With independent acceptance a and v(g) = v0 + b g it is 1 / ((1 - a) v0 + a (c + b)).
    Direction: higher is better; the same draft and the same costs without wasted work, so a fair
        bound for any rule that picks g. Runs longer than `survival` count as that long.
    Source: the oracle of arXiv 2601.11580, for measured costs.

    Args:
        survival: S_1 .. S_G over all rounds; a round without a draft accepted nothing.
        c: draft step in target steps.
        v: v(0) .. v(G), in target steps.
        h: overhead of a round in target steps.
    """
    g = len(survival)
    _check_survival(survival, g)
    _check_costs(c, v, h, g)
    exactly = [here - further for here, further in pairwise((1.0, *survival, 0.0))]
    cost = sum(chance * (a * c + v[a] + h) for a, chance in enumerate(exactly))
    return expected_tokens_per_round(survival, g) / cost


def speedup_interval(
    baseline_seconds: ArrayLike,
    candidate_seconds: ArrayLike,
    *,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """Returns the median paired speedup with a bootstrap interval over prompts.

    Definition: median over prompts and repeats of baseline / candidate time; prompts are drawn with
        replacement, each with all its repeats, since its repeats share its acceptance.
    Direction: higher is better; 1 is as fast as the baseline.
    Source: interleaved A/B repeats with a paired ratio, reference in `docs/metrics.md`.

    Args:
        baseline_seconds: decode time, shape [num_prompts, num_repeats]; repeat r of both arms ran
            next to each other. Where outputs differ in length give seconds per token.
        candidate_seconds: the same prompts and repeats.

    Raises:
        EvaluationError: `eval.items_differ`, the shapes differ or are not two-dimensional.
        DataError: `data.empty`; `data.row_invalid`, a time is not positive and finite.
    """
    baseline = np.asarray(baseline_seconds, dtype=np.float64)
    candidate = np.asarray(candidate_seconds, dtype=np.float64)
    if baseline.shape != candidate.shape or baseline.ndim != 2:
        raise EvaluationError(
            "eval.items_differ",
            f"times have shapes {baseline.shape} and {candidate.shape}; give one row for each"
            " prompt and one column for each repeat, the same for both arms",
        )
    if baseline.size == 0:
        raise DataError("data.empty", "no time was measured; run at least one prompt")
    both = np.stack([baseline, candidate])
    bad = ~(np.isfinite(both) & (both > 0))
    if bad.any():
        arm, prompt, repeat = (int(index) for index in np.argwhere(bad)[0])
        raise DataError(
            "data.row_invalid",
            f"{('baseline', 'candidate')[arm]} time of prompt {prompt}, repeat {repeat} is"
            f" {both[arm, prompt, repeat]} seconds; a dead engine has no time, leave the arm out",
        )
    ratio = baseline / candidate
    num_prompts = len(ratio)
    drawn: FloatArray | None = None
    if num_prompts > 1:
        rng = np.random.default_rng(seed)
        medians = []
        for start in range(0, num_resamples, _CHUNK):
            rows = min(_CHUNK, num_resamples - start)
            chosen = ratio[rng.integers(0, num_prompts, size=(rows, num_prompts))]
            medians.append(np.median(chosen.reshape(rows, -1), axis=1))
        drawn = np.concatenate(medians)
    return estimate(
        float(np.median(ratio)),
        drawn,
        level=level,
        n=num_prompts,
        num_units=num_prompts,
        resampled="prompt",
    )


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 0:
            raise DecodingError(
                "decode.engine_failed", f"{name} is {count}; the engine's counters are broken"
            )


def _check_at_most(name: str, count: int, limit_name: str, limit: int) -> None:
    if count > limit:
        raise DecodingError(
            "decode.engine_failed",
            f"{name} is {count}, more than {limit_name} {limit}; the engine's counters are broken",
        )


def _check_positions(accepted_per_position: Sequence[int], num_drafts: int) -> None:
    _check_counts(num_drafts=num_drafts)
    for index, (before, after) in enumerate(pairwise((num_drafts, *accepted_per_position))):
        name = f"accepted_per_position[{index}]"
        _check_counts(**{name: after})
        _check_at_most(name, after, "the count before it,", before)


def _check_survival(survival: Sequence[float], g: int) -> None:
    if not 0 <= g <= len(survival):
        raise ValueError(f"g is {g}; survival is known for 0 to {len(survival)} drafted tokens")
    for before, after in pairwise((1.0, *survival, 0.0)):
        if not 0.0 <= after <= before:
            raise ValueError(
                f"survival {list(survival)} must fall from 1 to 0; it holds P(first i accepted)"
            )


def _check_costs(c: float, v: Sequence[float], h: float, g: int) -> None:
    if len(v) <= g:
        raise ValueError(f"v has {len(v)} entries; v[0] .. v[{g}] are needed, v[0] being 1")
    if c < 0 or h < 0 or min(v) <= 0:
        raise ValueError(f"costs must be positive shares of a target step: c={c}, v={v}, h={h}")
