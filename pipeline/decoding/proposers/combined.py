"""What can be looked up is looked up, a smaller model drafts the rest (`CombinedArm`)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from transformers import PreTrainedModel

from pipeline.contracts.decoding_spec import CombinedArm, DraftModelArm
from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.lookup import Lookup, LookupSession, found_draft
from pipeline.decoding.proposers import draft_model
from pipeline.decoding.proposers.base import Draft, DraftSession
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
from pipeline.decoding.proposers.store import check_vocabulary, open_store


def open_proposer(arm: CombinedArm, target: PreTrainedModel) -> "CombinedProposer":
    """The arm's model is loaded in the target's number format, its answers in the target's tokens.

    Raises:
        PipelineError: as `draft_model.open_proposer` and `store.open_store`.
    """
    has_store = arm.dataset is not None or arm.teacher_cache is not None
    return CombinedProposer(
        NGramProposer(max_ngram=arm.max_ngram, min_ngram=arm.min_ngram),
        open_store(arm, target) if has_store else None,
        draft_model.open_proposer(DraftModelArm(name=arm.name, model=arm.model), target),
        max_lookup_tokens=arm.max_lookup_tokens,
        max_draft_tokens=arm.max_draft_tokens,
    )


class CombinedProposer:
    """Drafts from the text itself, then from stored answers, and where both know nothing with a
    model.

    A found token costs nothing but its place in the target's pass, so found drafts may be longer.

    Args:
        ngram: Lookup in the text so far.
        store: Answers to look up next; None for none.
        drafter: Asked where nothing was found.
        max_lookup_tokens: Longest found draft.
        max_draft_tokens: Longest draft of the model.
    """

    name = "combined"

    def __init__(
        self,
        ngram: NGramProposer,
        store: AnswerStore | None,
        drafter: DraftModelProposer,
        *,
        max_lookup_tokens: int,
        max_draft_tokens: int,
    ) -> None:
        self.ngram = ngram
        self.answer_store = store
        self.drafter = drafter
        self.max_lookup_tokens = max_lookup_tokens
        self.max_draft_tokens = max_draft_tokens
        self.models = drafter.models
        self.step_model = drafter.step_model
        self.output_ids = drafter.output_ids

    def check(self, target: PreTrainedModel, num_positions: int) -> None:
        """The model and the stored answers have the target's vocabulary, and the context fits.

        Raises:
            PipelineError: as `DraftModelProposer.check` and `check_vocabulary`.
        """
        self.drafter.check(target, num_positions)
        if self.answer_store is not None:
            check_vocabulary(self.answer_store, target)

    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        capacity: int,
        params: SamplingParams,
        generator: torch.Generator,
    ) -> "_CombinedSession":
        """A session of every part."""
        stores: list[Lookup] = [] if self.answer_store is None else [self.answer_store]
        lookups = LookupSession([[self.ngram.index(), *stores] for _ in prompts], generator.device)
        drafts = self.drafter.begin(prompts, capacity=capacity, params=params, generator=generator)
        return _CombinedSession(self, lookups, drafts)


class _CombinedSession:
    def __init__(
        self, proposer: CombinedProposer, lookups: LookupSession, drafts: DraftSession
    ) -> None:
        self.proposer = proposer
        self.lookups = lookups
        self.drafts = drafts

    def propose(self, sequences: Sequence[Sequence[int]], num_tokens: int) -> Draft:
        found = found_draft(
            self.lookups.continuations(sequences, min(num_tokens, self.proposer.max_lookup_tokens)),
            self.lookups.device,
        )
        if all(found.num_tokens):
            return found
        drafted = self.drafts.propose(sequences, min(num_tokens, self.proposer.max_draft_tokens))
        return found_or_drafted(found, drafted)

    def keep_rows(self, rows: Sequence[int]) -> None:
        self.lookups.keep_rows(rows)
        self.drafts.keep_rows(rows)


def found_or_drafted(found: Draft, drafted: Draft) -> Draft:
    """Each row's found tokens, or where there are none the model's, as one draft."""
    is_found = torch.tensor([bool(count) for count in found.num_tokens])
    is_found = is_found.to(found.token_ids.device)
    width = max(found.token_ids.shape[1], drafted.token_ids.shape[1])
    token_ids = torch.where(
        is_found[:, None], _widened(found.token_ids, width), _widened(drafted.token_ids, width)
    )
    probs = drafted.probs
    if probs is not None:
        # Lookup is a distribution too: all mass on the token it found.
        certain = one_hot(_widened(found.token_ids, width), probs.shape[-1]).to(probs.dtype)
        probs = torch.where(is_found[:, None, None], certain, _widened(probs, width))
    return Draft(
        token_ids=token_ids,
        num_tokens=tuple(
            ours or theirs
            for ours, theirs in zip(found.num_tokens, drafted.num_tokens, strict=True)
        ),
        probs=probs,
        num_model_steps=drafted.num_model_steps,
    )


def _widened(rows: Tensor, width: int) -> Tensor:
    """`rows` `[B, G, ...]` with zeros behind, `[B, width, ...]`; padding is never verified."""
    padding = rows.new_zeros((rows.shape[0], width - rows.shape[1], *rows.shape[2:]))
    return torch.cat([rows, padding], dim=1)
