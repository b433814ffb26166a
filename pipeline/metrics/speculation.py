"""What speculation costs and gains, as pure functions of acceptance and costs.

Symbols follow the literature. g: drafted tokens per round. S_i: survival, the probability that the
first i drafted tokens are all accepted. In units of one plain target step, same batch and context:
c, one draft step; v(g), the target's pass over g + 1 tokens, so v(0) = 1; h, what a round costs
beyond that (sampling, bookkeeping). `survival[i - 1]` is S_i; `v[g]` is v(g).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.metrics.acceptance import check_at_most, check_counts


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
    check_counts(num_drafts=num_drafts, num_draft_tokens=num_draft_tokens)
    check_at_most("num_drafts", num_drafts, "num_target_steps", num_target_steps)
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
    if c < 0 or min(v) <= 0 or min(v) + h <= 0:
        raise ValueError(
            f"a round must cost something, h may be negative: c={c}, v={v}, h={h}, in target steps"
        )
