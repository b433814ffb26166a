"""How likely a model finds the reference answers, given their questions: nothing is generated.

An overlap of generated words is decided by a few of them, and by the answer's style. The likelihood
of the reference rests on each of its tokens, so that the paired difference of two models is known
from far fewer questions.

Shape suffixes: B sequences, T positions, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.samples import Score
from pipeline.data.records import DomainItem
from pipeline.data.tokenize import ChatFormat, plain_token_ids
from pipeline.evaluation.samples import AnswerSample

DEFINITION = (
    "bits of the reference answer after the chat template's prompt, without the end of the turn, "
    "/ its UTF-8 bytes; totals over all answers divided once"
)
MAX_POSITIONS = 1_024
"""In one forward pass, padding included: bounds the memory of the logits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceScore:
    """One reference answer under the model."""

    bits: float
    """Negative log-likelihood to the base 2, summed over the answer's tokens."""
    num_bytes: int
    """UTF-8 bytes of these tokens' text."""

    @property
    def columns(self) -> dict[str, Score]:
        """By column of `samples.parquet`."""
        return {
            "reference_bits_per_byte": self.bits / self.num_bytes,
            "num_reference_bytes": self.num_bytes,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sequence:
    """A question in the chat format, and the answer behind it."""

    index: int
    prompt: list[int]
    answer: list[int]
    num_bytes: int

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def with_reference_scores(
    answers: Sequence[AnswerSample], scores: Sequence[ReferenceScore]
) -> list[AnswerSample]:
    """The answers, each with the likelihood of its question's reference among its scores."""
    return [
        replace(answer, scores={**answer.scores, **score.columns})
        for answer, score in zip(answers, scores, strict=True)
    ]


@torch.inference_mode()
def score_references(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[DomainItem],
    *,
    max_positions: int = MAX_POSITIONS,
    scored: Callable[[int], None] = lambda _number: None,
) -> list[ReferenceScore]:
    """The likelihood of each reference, in the items' order.

    Sequences of similar length share a pass. They are padded behind their end, which a causal model
    does not see, so that each has the score it would have alone. What is longer than the model's
    context loses the beginning of its question; an answer that alone is longer counts as far as it
    fits.

    Args:
        model: causal language model in evaluation mode.
        items: questions with a reference that is not blank.
        max_positions: in one forward pass; a longer sequence has a pass of its own.
        scored: called with the number of references of each pass.
    """
    sequences = _sequences(tokenizer, items, int(model.config.max_position_embeddings))
    found: dict[int, ReferenceScore] = {}
    for batch in _batches(sequences, max_positions):
        found.update(_score(model, batch))
        scored(len(batch))
    return [found[index] for index in range(len(items))]


def _sequences(
    tokenizer: PreTrainedTokenizerBase, items: Sequence[DomainItem], context: int
) -> list[_Sequence]:
    chat = ChatFormat(tokenizer)
    sequences = []
    for index, item in enumerate(items):
        text = item.output.strip()
        answer = plain_token_ids(tokenizer, text)
        prompt = chat.prompt(item.prompt_messages())
        if len(answer) >= context:
            answer = answer[: context - 1]
            text = tokenizer.decode(answer)
        prompt = prompt[-(context - len(answer)) :]
        sequences.append(
            _Sequence(index=index, prompt=prompt, answer=answer, num_bytes=len(text.encode()))
        )
    return sequences


def _batches(sequences: Sequence[_Sequence], max_positions: int) -> Iterator[list[_Sequence]]:
    """Longest first, so that what does not fit into memory fails at once."""
    batch: list[_Sequence] = []
    for one in sorted(sequences, key=len, reverse=True):
        if batch and len(batch[0]) * (len(batch) + 1) > max_positions:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _score(model: PreTrainedModel, batch: Sequence[_Sequence]) -> dict[int, ReferenceScore]:
    """The scores of one pass, by index of the item."""
    longest = len(batch[0])
    input_ids_BT = torch.zeros((len(batch), longest), dtype=torch.long)
    for row, one in enumerate(batch):
        input_ids_BT[row, : len(one)] = torch.tensor(one.prompt + one.answer)
    first = min(len(one.prompt) for one in batch) - 1  # predicts the earliest answer token
    input_ids_BT = input_ids_BT.to(model.device)
    logits_BTV = model(
        input_ids=input_ids_BT, logits_to_keep=longest - first, use_cache=False
    ).logits
    found = {}
    for row, one in enumerate(batch):
        start = len(one.prompt) - 1 - first
        logits_TV = logits_BTV[row, start : start + len(one.answer)].float()
        targets_T = input_ids_BT[row, len(one.prompt) : len(one)]
        predicted_T = logits_TV.gather(1, targets_T[:, None])[:, 0]
        nats = (torch.logsumexp(logits_TV, dim=1) - predicted_T).sum(dtype=torch.float64)
        found[one.index] = ReferenceScore(bits=float(nats) / math.log(2), num_bytes=one.num_bytes)
    return found
