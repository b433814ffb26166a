"""A smaller model drafts (`DraftModelArm`)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from pipeline.contracts.decoding_spec import DraftModelArm
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.base import Draft
from pipeline.decoding.runner import Runner, open_runner
from pipeline.decoding.sampling import probabilities, sample
from pipeline.errors import DecodingError, ModelError
from pipeline.modeling.loading import load_model


def open_proposer(arm: DraftModelArm, target: PreTrainedModel) -> "DraftModelProposer":
    """The arm's model is loaded in the target's number format, on its device.

    Raises:
        ModelError: as `load_model`.
    """
    path = Path(arm.model.resolved_path)
    return DraftModelProposer(load_model(path, dtype=target.dtype, device=str(target.device)))


class DraftModelProposer:
    """Drafts with a smaller model of the same vocabulary.

    Args:
        draft: The model; it drafts its argmax in greedy decoding, and samples otherwise.
    """

    name = "draft_model"

    def __init__(self, draft: PreTrainedModel) -> None:
        self.draft = draft
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
        runner = open_runner(self.draft, batch_size=len(prompts), capacity=capacity)
        runner.prefill(prompts)
        return _DraftModelSession(runner, params, generator)


class _DraftModelSession:
    def __init__(self, runner: Runner, params: SamplingParams, generator: torch.Generator) -> None:
        self.runner = runner
        self.params = params
        self.generator = generator

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
            if self.params.temperature == 0:
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
