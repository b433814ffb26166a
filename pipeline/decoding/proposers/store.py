"""Answers of the domain draft: what they said after the same tokens (`StoreArm`)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from pipeline.contracts.decoding_spec import CombinedArm, StoreArm
from pipeline.data.datasets import read_rows
from pipeline.data.records import Conversation, DomainItem
from pipeline.data.tokenize import ChatFormat
from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.lookup import LookupSession
from pipeline.distillation.cache import open_teacher_cache, read_manifest, tokenizer_digest
from pipeline.errors import ModelError
from pipeline.modeling.loading import load_tokenizer


def open_proposer(arm: StoreArm, target: PreTrainedModel) -> "StoreProposer":
    """Lookup in the arm's answers, in tokens of the target.

    Raises:
        PipelineError: as `open_store`.
    """
    return StoreProposer(open_store(arm, target))


def open_store(arm: StoreArm | CombinedArm, target: PreTrainedModel) -> AnswerStore:
    """All answers the arm names: those of its data set first, then the target's own.

    Args:
        arm: Names a data set of answers, a teacher cache, or both.
        target: Loaded from a directory, whose tokenizer is used.

    Raises:
        ModelError: `model.vocabulary_mismatch`, the cache was written with another tokenizer; as
            `load_tokenizer`.
        DataError: as `read_rows`.
        TrainingError: as `open_teacher_cache`.
    """
    return AnswerStore(list(_answers(arm, Path(target.name_or_path))), min_match=arm.min_match)


class StoreProposer:
    """Drafts what stored answers said after the longest end of the text; needs no model.

    Args:
        store: The answers. With those that are to be decoded among them a measured speedup says
            nothing.

    Source: REST (He et al. 2024, arXiv 2311.08252), with one draft instead of a tree.
    """

    name = "store"
    models: tuple[PreTrainedModel, ...] = ()
    step_model = None
    output_ids = None

    def __init__(self, store: AnswerStore) -> None:
        self.answer_store = store

    def check(self, target: PreTrainedModel, num_positions: int) -> None:
        """Every stored token is one of the target's.

        Raises:
            ModelError: `model.vocabulary_mismatch`.
        """
        check_vocabulary(self.answer_store, target)

    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        capacity: int,
        params: SamplingParams,
        generator: torch.Generator,
    ) -> LookupSession:
        """A session without memory: the store is the same for all."""
        return LookupSession([[self.answer_store]] * len(prompts), generator.device)


def check_vocabulary(store: AnswerStore, target: PreTrainedModel) -> None:
    """Every token of the store is one of the target's.

    Raises:
        ModelError: `model.vocabulary_mismatch`.
    """
    if store.largest_token >= target.config.vocab_size:
        raise ModelError(
            "model.vocabulary_mismatch",
            f"The stored answers hold token {store.largest_token} and the target has "
            f"{target.config.vocab_size} tokens. Store answers in the tokens of this target.",
        )


def _answers(arm: StoreArm | CombinedArm, target: Path) -> Iterator[Sequence[int]]:
    tokenizer = load_tokenizer(target)
    if arm.dataset is not None:
        chat = ChatFormat(tokenizer)
        for record in read_rows(arm.dataset, (Conversation, DomainItem)):
            token_ids, is_answer = chat.conversation(record.to_messages())
            yield from _stretches(token_ids, is_answer)
    if arm.teacher_cache is not None:
        directory = Path(arm.teacher_cache.resolved_path)
        key = read_manifest(directory).key
        if key.tokenizer_digest != tokenizer_digest(tokenizer):
            raise ModelError(
                "model.vocabulary_mismatch",
                f"{directory} was written with another tokenizer than that of {target}. Use the "
                "answers of this target.",
            )
        for answer in open_teacher_cache(directory, key):
            yield answer.answer_ids.tolist()


def _stretches(token_ids: Sequence[int], is_answer: Sequence[bool]) -> Iterator[Sequence[int]]:
    """The answers of a conversation, one after another, the token that ends each included."""
    answer: list[int] = []
    for token, belongs in zip(token_ids, is_answer, strict=True):
        if belongs:
            answer.append(token)
        elif answer:
            yield answer
            answer = []
    if answer:
        yield answer
