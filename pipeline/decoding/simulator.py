"""What speculation would do to an answer, computed from where its drafts would be accepted.

The target's answers x ~ p are scored once by both models. A token counts as accepted with
probability min(1, q(x) / p(x)) when the draft samples (a draft that never guesses: exactly when its
argmax is x). Walking blocks over such flags has the law of speculative decoding itself, since
P(draft x and accept it) = min(p, q) = p min(1, q / p): so one pass of each model gives every draft
length. The rounds are the engine's: the first token comes from prefill, and near the end of an
answer no more is drafted than can be used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedRounds:
    """Counts over one or several answers, with the meaning of `SpeculationStats`."""

    num_target_steps: int
    num_drafts: int
    num_draft_tokens: int
    accepted_per_position: tuple[int, ...]
    num_tokens: int
    """Tokens after the first of each answer."""

    @property
    def block_efficiency(self) -> float:
        """Tokens per target step; 1 without speculation."""
        return self.num_tokens / self.num_target_steps

    @property
    def survival(self) -> tuple[float, ...]:
        """S_1 .. S_g: the share of drafts that was accepted up to each position."""
        return tuple(count / self.num_drafts for count in self.accepted_per_position)


def simulate_rounds(
    accepted: Sequence[BoolArray], *, num_speculative_tokens: int
) -> SimulatedRounds:
    """The rounds that decode answers whose tokens would be accepted as flagged.

    Args:
        accepted: For each answer, whether each of its tokens after the first would be accepted if
            it were drafted, `[num_tokens - 1]`; at least one answer has a token.
        num_speculative_tokens: Draft length g.
    """
    accepted_per_position = np.zeros(num_speculative_tokens, dtype=np.int64)
    steps = drafts = drafted = 0
    for flags in accepted:
        # The first refusal at or after each place.
        places = np.arange(len(flags))
        refusals = np.where(flags, len(flags), places)[::-1]
        next_refusal = np.minimum.accumulate(refusals)[::-1].tolist()
        place = 0
        while place < len(flags):
            length = min(num_speculative_tokens, len(flags) - place - 1)
            num_accepted = min(next_refusal[place] - place, length)
            steps += 1
            drafts += length > 0
            drafted += length
            accepted_per_position[:num_accepted] += 1
            place += num_accepted + 1
    return SimulatedRounds(
        num_target_steps=steps,
        num_drafts=drafts,
        num_draft_tokens=drafted,
        accepted_per_position=tuple(accepted_per_position.tolist()),
        num_tokens=sum(len(flags) for flags in accepted),
    )
