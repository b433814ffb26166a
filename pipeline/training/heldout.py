"""Loss on texts that are never trained on, per token and per byte."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.training_results import HeldoutLoss
from pipeline.data.packing import best_fit_decreasing
from pipeline.data.records import Document
from pipeline.data.tokenize import start_of_text
from pipeline.errors import DataError, StoppedAtCheckpoint
from pipeline.execution import RunContext
from pipeline.training.batches import PackedBatch, packed_batch
from pipeline.training.losses import cross_entropy_loss


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldoutCorpus:
    """Documents packed for measuring: every token is predicted once, except a document's first.

    A long document goes on in the next piece with one token of overlap as context. A tokenizer
    with a BOS token predicts the first token too.
    """

    batches: tuple[PackedBatch, ...]
    num_bytes: int


def prepare_heldout(
    documents: Sequence[Document], tokenizer: PreTrainedTokenizerBase, *, max_seq_length: int
) -> HeldoutCorpus:
    """The documents as rows of at most `max_seq_length` tokens, and the bytes they predict.

    Raises:
        DataError: `data.empty` when there is nothing to predict.
    """
    pieces: list[tuple[str, np.ndarray]] = []
    num_bytes = 0
    for document in documents:
        token_ids, document_bytes = _tokens_and_bytes(document.text, tokenizer)
        num_bytes += document_bytes
        pieces.extend((document.id, piece) for piece in _overlapping(token_ids, max_seq_length))
    if not pieces:
        raise DataError(
            "data.empty", "a held-out corpus has no document of two tokens or more; add text"
        )
    rows = best_fit_decreasing([len(ids) for _, ids in pieces], max_seq_length)
    return HeldoutCorpus(
        batches=tuple(
            packed_batch(
                [(pieces[i][1], pieces[i][1]) for i in row],
                row_ids=[pieces[i][0] for i in row],
                tokens_by_source={"heldout": sum(len(pieces[i][1]) for i in row)},
            )
            for row in rows
        ),
        num_bytes=num_bytes,
    )


@torch.no_grad()
def measure_heldout(
    model: PreTrainedModel, corpus: HeldoutCorpus, context: RunContext
) -> HeldoutLoss:
    """The loss of `model` on the corpus; the model is left in eval mode.

    Raises:
        StoppedAtCheckpoint: a stop was requested.
    """
    model.eval()
    total, num_tokens = 0.0, 0
    progress = context.progress("heldout", total=len(corpus.batches), unit="batches")
    for batch in corpus.batches:
        if context.stop:
            raise StoppedAtCheckpoint("stopped on request while measuring; run it again to go on")
        loss_sum, count = cross_entropy_loss(model, batch)
        total += loss_sum.item()
        num_tokens += count
        progress.advance()
    return HeldoutLoss(
        loss=total / num_tokens,
        bits_per_byte=total / math.log(2) / corpus.num_bytes,
        num_tokens=num_tokens,
        num_bytes=corpus.num_bytes,
    )


def _tokens_and_bytes(text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[np.ndarray, int]:
    """(token ids, UTF-8 bytes of those that are predicted)."""
    encoded = tokenizer(
        text,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=True,
        verbose=False,
    )
    prefix = start_of_text(tokenizer)
    offsets = [(0, 0)] if prefix else encoded.offset_mapping[:1]
    first_end = offsets[0][1] if offsets else len(text)
    token_ids = np.array([*prefix, *encoded.input_ids], dtype=np.int64)
    return token_ids, len(text[first_end:].encode())


def _overlapping(token_ids: np.ndarray, max_seq_length: int) -> Iterator[np.ndarray]:
    for start in range(0, len(token_ids) - 1, max_seq_length - 1):
        yield token_ids[start : start + max_seq_length]
