"""A smaller model drafts (`DraftModelArm`)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.contracts.decoding_spec import DraftModelArm
from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.base import SamplingParams, num_shared
from pipeline.decoding.proposers.base import Draft
from pipeline.decoding.runner import Runner, open_runner
from pipeline.decoding.sampling import probabilities, sample
from pipeline.errors import DecodingError, ModelError
from pipeline.modeling.inspection import read_model
from pipeline.modeling.loading import load_model


def open_proposer(arm: DraftModelArm, target: PreTrainedModel) -> "DraftModelProposer":
    """The arm's model is loaded in the target's number format, on its device.

    It drafts the tokens its `draft_vocabulary.json` names, all where it has none.

    Raises:
        ModelError: as `load_model`.
    """
    path = Path(arm.model.resolved_path)
    device = str(target.device)
    return DraftModelProposer(
        load_model(path, dtype=target.dtype, device=device),
        output_ids=read_model(path).draft_vocabulary,
    )


class DraftModelProposer:
    """Drafts with a smaller model of the same vocabulary.

    Args:
        draft: The model; it drafts its argmax in greedy decoding, and samples otherwise.
        output_ids: The tokens it may say, in rising order; None for all. Fewer cost less, and
            whatever they are the output keeps the target's distribution.
    """

    name = "draft_model"
    answer_store: AnswerStore | None = None

    def __init__(self, draft: PreTrainedModel, *, output_ids: Sequence[int] | None = None) -> None:
        self.draft = draft
        self.output_ids = (
            None
            if output_ids is None
            else torch.tensor(output_ids, dtype=torch.long, device=draft.device)
        )
        self.models = (draft,)
        self.step_model = draft

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
        runner = open_runner(
            self.draft, batch_size=len(prompts), capacity=capacity, output_ids=self.output_ids
        )
        runner.prefill(prompts)
        return _DraftModelSession(self, runner, prompts, params, generator)


class _DraftModelSession:
    """Drafts for one batch. A session that was not asked in some rounds reads what it missed."""

    def __init__(
        self,
        proposer: DraftModelProposer,
        runner: Runner,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        generator: torch.Generator,
    ) -> None:
        self.output_ids = proposer.output_ids
        self.vocab_size: int = proposer.draft.config.vocab_size
        self.runner = runner
        self.params = params
        self.generator = generator
        self.num_committed = [len(prompt) for prompt in prompts]
        """Tokens of each sequence that had been committed when the cache last read it."""
        self.unverified: list[list[int]] = [[] for _ in prompts]
        """Drafted tokens that the cache holds behind them."""

    def propose(self, sequences: Sequence[Sequence[int]], num_tokens: int) -> Draft:
        logits = self._catch_up(sequences)
        tokens: list[Tensor] = []
        distributions: list[Tensor] = []
        for place in range(num_tokens):
            if place:
                logits = self.runner.forward(tokens[-1][:, None], num_logits=1)[:, -1]
            if self.params.temperature == 0:
                chosen = logits.argmax(-1)
                token = chosen if self.output_ids is None else self.output_ids[chosen]
            else:
                distributions.append(self._over_all_tokens(probabilities(logits, self.params)))
                token = sample(distributions[-1], self.generator)
            tokens.append(token)
        drafted = torch.stack(tokens, dim=1)
        self.num_committed = [len(sequence) for sequence in sequences]
        self.unverified = drafted[:, :-1].tolist()  # the last one was never fed
        return Draft(
            token_ids=drafted,
            num_tokens=(num_tokens,) * len(sequences),
            probs=torch.stack(distributions, dim=1) if distributions else None,
            num_model_steps=num_tokens,
        )

    def _catch_up(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """The cache holds all of `sequences`; logits after each, `[B, V]`. One pass.

        What is committed may differ from what was drafted, and may have grown by any number of
        rounds since: the cache keeps what it read rightly and reads the rest. Rows that miss less
        than others read a few of their tokens again, so that no row passes its place in the cache.
        """
        num_missing = 1
        for sequence, committed, unverified in zip(
            sequences, self.num_committed, self.unverified, strict=True
        ):
            num_right = committed + num_shared(unverified, sequence[committed:])
            # The last token is read again where nothing is missing: its logits are wanted.
            num_missing = max(num_missing, len(sequence) - num_right)
        starts = [max(0, len(sequence) - num_missing) for sequence in sequences]
        self.runner.cache.roll_back(starts)
        inputs = [
            [*sequence[start:], *[0] * (num_missing - len(sequence) + start)]
            for sequence, start in zip(sequences, starts, strict=True)
        ]
        # Only a sequence shorter than what another one misses is padded, on its right.
        is_padded = any(len(sequence) < num_missing for sequence in sequences)
        logits = self.runner.forward(
            torch.tensor(inputs, device=self.runner.device),
            num_logits=num_missing if is_padded else 1,
        )
        if not is_padded:
            return logits[:, -1]
        self.runner.cache.roll_back([len(sequence) for sequence in sequences])
        lasts = [
            len(sequence) - start - 1 for sequence, start in zip(sequences, starts, strict=True)
        ]
        return logits[torch.arange(len(lasts)), lasts]

    def _over_all_tokens(self, probs: Tensor) -> Tensor:
        """`[B, V']` of the tokens it may say as `[B, V]`: the others have no probability."""
        if self.output_ids is None:
            return probs
        everywhere = probs.new_zeros((probs.shape[0], self.vocab_size))
        everywhere[:, self.output_ids] = probs
        return everywhere

    def keep_rows(self, rows: Sequence[int]) -> None:
        self.runner.cache.keep_rows(rows)
        self.num_committed = [self.num_committed[row] for row in rows]
        self.unverified = [self.unverified[row] for row in rows]
