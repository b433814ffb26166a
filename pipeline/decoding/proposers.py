"""Where drafted tokens come from: a smaller model, or the text itself.

A proposer is a recipe; `begin` starts a session for one batch, which follows the target's committed
tokens. Whatever it proposes, the output keeps the target's distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.decoding.base import SamplingParams
from pipeline.decoding.kv_cache import CachedModel
from pipeline.decoding.sampling import probabilities, sample
from pipeline.errors import DecodingError, ModelError


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """Tokens to verify for each sequence of a batch (B sequences, G tokens, V vocabulary)."""

    token_ids: Tensor
    """`[B, G]`; columns past a sequence's own number are padding."""
    num_tokens: tuple[int, ...]
    """How many tokens were drafted for each sequence, 0 to G."""
    probs: Tensor | None
    """The distributions they were drawn from, `[B, G, V]`; None when chance had no part."""


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


class DraftModelProposer:
    """Drafts with a smaller model of the same vocabulary.

    Args:
        draft: The model; greedy decoding drafts its argmax.
        is_greedy: Draft the argmax also when sampling. A greedy draft wins where the target is
            more peaked than the draft, a sampled one where the two distributions are alike.
    """

    name = "draft_model"

    def __init__(self, draft: PreTrainedModel, *, is_greedy: bool = False) -> None:
        self.draft = draft
        self.is_greedy = is_greedy
        self.models = (draft,)

    def check(self, target: PreTrainedModel, num_positions: int) -> None:
        """The vocabularies have one size and the context fits the draft.

        Raises:
            ModelError: `model.vocabulary_mismatch`.
            DecodingError: `decode.context_too_long`.
        """
        config = self.draft.config
        if config.vocab_size != target.config.vocab_size:
            raise ModelError(
                "model.vocabulary_mismatch",
                f"The draft has {config.vocab_size} tokens and the target "
                f"{target.config.vocab_size}. Build the draft from this target, or pad its "
                "embeddings.",
            )
        if num_positions > config.max_position_embeddings:
            raise DecodingError(
                "decode.context_too_long",
                f"{num_positions} tokens of context pass the draft's "
                f"{config.max_position_embeddings}. Use a draft with the target's context, or "
                "shorter prompts.",
            )

    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        capacity: int,
        params: SamplingParams,
        generator: torch.Generator,
    ) -> "_DraftModelSession":
        """A session whose cache holds the prompts."""
        runner = CachedModel(self.draft, batch_size=len(prompts), capacity=capacity)
        runner.prefill(prompts)
        is_greedy = self.is_greedy or params.temperature == 0
        return _DraftModelSession(runner, params, generator, is_greedy)


class _DraftModelSession:
    def __init__(
        self,
        runner: CachedModel,
        params: SamplingParams,
        generator: torch.Generator,
        is_greedy: bool,
    ) -> None:
        self.runner = runner
        self.params = params
        self.generator = generator
        self.is_greedy = is_greedy

    def propose(self, sequences: Sequence[Sequence[int]], num_tokens: int) -> Draft:
        # After a round whose whole draft was accepted the cache lacks the last drafted token as
        # well as the target's own. Reading the last two tokens again in every round closes that
        # gap in all cases, for the price of one more row in one pass.
        device = self.runner.device
        self.runner.cache.roll_back([len(sequence) - 2 for sequence in sequences])
        inputs = torch.tensor([sequence[-2:] for sequence in sequences], device=device)
        tokens, distributions = [], []
        for _ in range(num_tokens):
            logits = self.runner.forward(inputs, num_logits=1)[:, -1]
            if self.is_greedy:
                token = logits.argmax(-1)
            else:
                distributions.append(probabilities(logits, self.params))
                token = sample(distributions[-1], self.generator)
            tokens.append(token)
            inputs = token[:, None]
        return Draft(
            token_ids=torch.stack(tokens, dim=1),
            num_tokens=(num_tokens,) * len(sequences),
            probs=torch.stack(distributions, dim=1) if distributions else None,
        )

    def keep_rows(self, rows: Sequence[int]) -> None:
        self.runner.cache.keep_rows(rows)


class NGramProposer:
    """Drafts what followed the latest earlier occurrence of the last tokens; needs no model.

    Args:
        max_ngram: Longest suffix looked up; the longest that occurs earlier wins.
        min_ngram: Shortest suffix looked up.

    Source: Saxena 2023, prompt lookup decoding.
    """

    name = "ngram"
    models: tuple[PreTrainedModel, ...] = ()

    def __init__(self, *, max_ngram: int = 3, min_ngram: int = 1) -> None:
        if not 1 <= min_ngram <= max_ngram:
            raise DecodingError(
                "decode.unsupported_option",
                f"min_ngram {min_ngram} and max_ngram {max_ngram} must satisfy "
                "1 <= min_ngram <= max_ngram.",
            )
        self.max_ngram = max_ngram
        self.min_ngram = min_ngram

    def check(self, target: PreTrainedModel, num_positions: int) -> None:
        """Nothing to check: the drafted tokens come from the target's own context."""

    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        capacity: int,
        params: SamplingParams,
        generator: torch.Generator,
    ) -> "_NGramSession":
        """A session with an empty index for each prompt."""
        lengths = range(self.max_ngram, self.min_ngram - 1, -1)
        return _NGramSession([_NGramIndex(lengths) for _ in prompts], generator.device)


class _NGramSession:
    def __init__(self, indices: list["_NGramIndex"], device: torch.device) -> None:
        self.indices = indices
        self.device = device

    def propose(self, sequences: Sequence[Sequence[int]], num_tokens: int) -> Draft:
        drafts = [
            index.continuation(sequence, num_tokens)
            for index, sequence in zip(self.indices, sequences, strict=True)
        ]
        width = max(len(draft) for draft in drafts)
        padded = [[*draft, *[0] * (width - len(draft))] for draft in drafts]
        return Draft(
            token_ids=torch.tensor(padded, dtype=torch.long, device=self.device),
            num_tokens=tuple(len(draft) for draft in drafts),
            probs=None,
        )

    def keep_rows(self, rows: Sequence[int]) -> None:
        self.indices = [self.indices[row] for row in rows]


class _NGramIndex:
    """Where each n-gram of a growing sequence was followed by another token, the latest place."""

    def __init__(self, lengths: range) -> None:
        self.lengths = lengths
        self.followed_at: dict[tuple[int, ...], int] = {}
        self.num_indexed = 1

    def continuation(self, sequence: Sequence[int], num_tokens: int) -> Sequence[int]:
        # The n-gram at the end has no follower yet, so it never finds itself.
        for place in range(self.num_indexed, len(sequence)):
            for length in self.lengths:
                if length <= place:
                    self.followed_at[tuple(sequence[place - length : place])] = place
        self.num_indexed = len(sequence)
        for length in self.lengths:
            follower = self.followed_at.get(tuple(sequence[-length:]))
            if follower is not None:
                return sequence[follower : follower + num_tokens]
        return ()
