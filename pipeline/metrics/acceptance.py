"""How much of what was drafted was accepted, from an engine's counts.

Counters that cannot be right (more accepted than drafted) raise: they are a broken engine, never a
figure.
"""

from collections.abc import Sequence
from itertools import pairwise

from pipeline.errors import DecodingError


def mean_acceptance_length(num_drafts: int, num_accepted_tokens: int) -> float | None:
    """Returns tokens per verified round, the target's own token included; None without a draft.

    Definition: 1 + accepted / drafts.
    Direction: higher is better, at most g + 1. vLLM's counters include tokens accepted behind a
        stop token, so its short answers read too high; our engine's do not.
    Source: vLLM `SpecDecodingLogging`; Leviathan et al. 2023 (arXiv 2211.17192).

    Raises:
        DecodingError: `decode.engine_failed`, a count is negative.
    """
    check_counts(num_drafts=num_drafts, num_accepted_tokens=num_accepted_tokens)
    return 1.0 + num_accepted_tokens / num_drafts if num_drafts else None


def draft_acceptance_rate(num_draft_tokens: int, num_accepted_tokens: int) -> float | None:
    """Returns the share of drafted tokens that was accepted; None without a drafted token.

    Definition: accepted / drafted tokens.
    Direction: higher is better; falls with g for the same draft, so never compare across g.
    Source: vLLM `SpecDecodingLogging`.

    Raises:
        DecodingError: `decode.engine_failed`, a count is negative or accepted exceeds drafted.
    """
    check_counts(num_accepted_tokens=num_accepted_tokens, num_draft_tokens=num_draft_tokens)
    check_at_most("num_accepted_tokens", num_accepted_tokens, "num_draft_tokens", num_draft_tokens)
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
    check_counts(
        num_output_tokens=num_output_tokens,
        num_requests=num_requests,
        num_target_decode_steps=num_target_decode_steps,
    )
    check_at_most("num_requests", num_requests, "num_output_tokens", num_output_tokens)
    if not num_target_decode_steps:
        return None
    return (num_output_tokens - num_requests) / num_target_decode_steps


def check_counts(**counts: int) -> None:
    """No count is negative.

    Raises:
        DecodingError: `decode.engine_failed`, naming the count.
    """
    for name, count in counts.items():
        if count < 0:
            raise DecodingError(
                "decode.engine_failed", f"{name} is {count}; the engine's counters are broken"
            )


def check_at_most(name: str, count: int, limit_name: str, limit: int) -> None:
    """The count does not pass its limit.

    Raises:
        DecodingError: `decode.engine_failed`, naming both.
    """
    if count > limit:
        raise DecodingError(
            "decode.engine_failed",
            f"{name} is {count}, more than {limit_name} {limit}; the engine's counters are broken",
        )


def _check_positions(accepted_per_position: Sequence[int], num_drafts: int) -> None:
    check_counts(num_drafts=num_drafts)
    for index, (before, after) in enumerate(pairwise((num_drafts, *accepted_per_position))):
        name = f"accepted_per_position[{index}]"
        check_counts(**{name: after})
        check_at_most(name, after, "the count before it,", before)
