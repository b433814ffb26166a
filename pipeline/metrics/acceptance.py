"""What a draft would gain, computed from where it agrees with its target, without decoding.

With greedy decoding of both, a drafted token is accepted exactly when the draft's argmax is the
target's. So a block decodes the same tokens as the target alone, and the rounds it takes follow
from the agreement at each position of the target's own answer.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def greedy_agreement(agreements: Sequence[NDArray[np.bool_]]) -> float:
    """Share of the answers' positions at which the draft's argmax is the target's."""
    return float(np.concatenate(list(agreements)).mean())


def tokens_per_round(
    agreements: Sequence[NDArray[np.bool_]], *, num_speculative_tokens: int
) -> float:
    """Mean tokens per target step when each round drafts that many: 1 without any agreement.

    A round keeps the drafted tokens before the first disagreement and gets one token from the
    target (the bonus token when all were kept). The last round of an answer counts what the
    answer still had.

    Args:
        agreements: for each answer of the target, whether the draft agrees at each position given
            the tokens before it.
    """
    num_rounds = sum(
        _num_rounds(agreement.tolist(), num_speculative_tokens) for agreement in agreements
    )
    return sum(len(agreement) for agreement in agreements) / num_rounds


def _num_rounds(agreement: list[bool], num_speculative_tokens: int) -> int:
    position = rounds = 0
    while position < len(agreement):
        block = agreement[position : position + num_speculative_tokens]
        num_accepted = block.index(False) if False in block else len(block)
        position += num_accepted + 1
        rounds += 1
    return rounds
