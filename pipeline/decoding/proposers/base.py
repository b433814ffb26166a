"""The seam every way of drafting implements.

A proposer drafts for any number of batches; `begin` starts a session for one of them, which follows
the target's committed tokens. Whatever it proposes, the output keeps the target's distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.base import SamplingParams


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """Tokens to verify for each sequence of a batch (B sequences, G tokens, V vocabulary)."""

    token_ids: Tensor
    """`[B, G]`; columns past a sequence's own number are padding."""
    num_tokens: tuple[int, ...]
    """How many tokens were drafted for each sequence, 0 to G."""
    probs: Tensor | None
    """The distributions they were drawn from, `[B, G, V]`, all mass on the token where chance had
    no part; None when it had none in any row."""
    num_model_steps: int = 0
    """Steps of a draft model behind it; none where all was looked up."""


class DraftSession(Protocol):
    """Drafts for one batch."""

    def propose(self, sequences: Sequence[Sequence[int]], num_tokens: int) -> Draft:
        """Up to `num_tokens` tokens after each of `sequences` (prompt and committed tokens)."""

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Row i is the former row `rows[i]`; the others have finished."""


class Proposer(Protocol):
    """A way of drafting."""

    name: str
    models: tuple[PreTrainedModel, ...]
    """The models it runs, none for lookup."""
    step_model: PreTrainedModel | None
    """The one that runs for drafted tokens; None where a token costs nothing to speak of. The cost
    model times it."""
    output_ids: Tensor | None
    """The tokens that `step_model` may say, `[V']` in rising order; None for all."""
    answer_store: AnswerStore | None
    """The stored answers it looks drafts up in."""

    def check(self, target: PreTrainedModel, num_positions: int) -> None:
        """It can draft for `target` up to `num_positions` tokens of context, or raises."""

    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        capacity: int,
        params: SamplingParams,
        generator: torch.Generator,
    ) -> DraftSession:
        """A session that has read the prompts; no sequence will pass `capacity` tokens."""
