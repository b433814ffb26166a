"""The optimizer steps of a draft's training, the same in number and tokens for every objective.

The steps are planned once, from the target's answers: each epoch is a new permutation, rows are
packed in that order. The control on gold answers follows the same plan: in each step it trains on
as many tokens as the others, taken from its own answers one after another, cut at the end of a step
and started again when they are used up.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from pipeline.data.tokenize import IGNORED_LABEL, TokenizedRow
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.losses import TeacherTargets
from pipeline.training.batches import PackedBatch, packed_batch


@dataclass(frozen=True, kw_only=True, slots=True)
class DistillationBatch:
    """One packed row, with the target's distribution at each of its labels where it is needed."""

    packed: PackedBatch
    targets: TeacherTargets | None

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Names of the data rows in it."""
        return self.packed.row_ids

    @property
    def tokens_by_source(self) -> Mapping[str, int]:
        """Non-padding tokens, prompts included, by source."""
        return self.packed.tokens_by_source


@dataclass(frozen=True, kw_only=True, slots=True)
class _Piece:
    """A row up to `end`, trained on from `start`; earlier tokens are its context."""

    row: int
    start: int
    end: int


class DistillationBatches:
    """The steps of one draft's training (a `BatchSource`)."""

    def __init__(
        self,
        answers: Sequence[TeacherAnswer],
        *,
        num_epochs: int,
        max_seq_length: int,
        rows_per_step: int,
        seed: int,
        gold: Sequence[TokenizedRow] | None = None,
        with_targets: bool = False,
    ) -> None:
        """Plan all steps.

        Args:
            answers: the target's; prompt and answer together have at most `max_seq_length` tokens.
            rows_per_step: packed rows of one optimizer step.
            gold: train on these rows instead, in the steps and tokens of `answers`.
            with_targets: batches carry the target's distributions; not with `gold`.
        """
        self._answers = answers
        self._with_targets = with_targets
        self._source = "target_answers" if gold is None else "gold_answers"
        self._rows = gold if gold is not None else [_tokenized(answer) for answer in answers]
        plan = _plan(answers, num_epochs, max_seq_length, rows_per_step, seed)
        if gold is not None:
            quotas = [
                sum(piece.end - piece.start for row in step for piece in row) for step in plan
            ]
            plan = _plan_gold(gold, quotas, max_seq_length, seed)
        self._steps = plan
        self._digest = self._plan_digest()

    @property
    def num_steps(self) -> int:
        """Optimizer steps in all."""
        return len(self._steps)

    @property
    def num_tokens(self) -> int:
        """Non-padding tokens in all, contexts included."""
        return sum(piece.end for step in self._steps for row in step for piece in row)

    @property
    def num_trained_tokens(self) -> int:
        """Tokens that carry a loss, the same for every objective."""
        return sum(p.end - p.start for step in self._steps for row in step for p in row)

    def micro_batches(self, step: int) -> list[DistillationBatch]:
        """The packed rows of the optimizer step with this 0-based index."""
        return [self._batch(row) for row in self._steps[step]]

    def cursor(self, step: int) -> dict[str, Any]:
        """Steps taken, and the digest of the data and its whole order."""
        return {"next_step": step, "num_steps": self.num_steps, "plan_sha256": self._digest}

    def _batch(self, pieces: Sequence[_Piece]) -> DistillationBatch:
        documents = []
        for piece in pieces:
            row = self._rows[piece.row]
            labels = row.labels[: piece.end].copy()
            labels[: piece.start] = IGNORED_LABEL
            documents.append((row.input_ids[: piece.end], labels))
        packed = packed_batch(
            documents,
            row_ids=[self._rows[piece.row].id for piece in pieces],
            tokens_by_source={self._source: sum(piece.end for piece in pieces)},
        )
        targets = self._targets(pieces) if self._with_targets else None
        return DistillationBatch(packed=packed, targets=targets)

    def _targets(self, pieces: Sequence[_Piece]) -> TeacherTargets:
        ids, logprobs, tails = [], [], []
        for piece in pieces:
            answer = self._answers[piece.row]
            ids.append(answer.topk_ids)
            logprobs.append(answer.topk_logprobs)
            tails.append(answer.tail_mass)
        return TeacherTargets.from_cache(
            np.concatenate(ids), np.concatenate(logprobs), np.concatenate(tails)
        )

    def _plan_digest(self) -> str:
        content = hashlib.sha256()
        for row in self._rows:
            content.update(f"{row.id}\0{len(row.input_ids)}\n".encode())
            content.update(row.input_ids.tobytes())
        # Checkpoints hold this digest, so the name and the fields of `_Piece` stay as they are.
        content.update(repr(self._steps).encode())
        return content.hexdigest()


def _tokenized(answer: TeacherAnswer) -> TokenizedRow:
    input_ids = np.concatenate([answer.prompt_ids, answer.answer_ids])
    labels = input_ids.copy()
    labels[: len(answer.prompt_ids)] = IGNORED_LABEL
    return TokenizedRow(id=answer.row_id, input_ids=input_ids, labels=labels)


def _plan(
    answers: Sequence[TeacherAnswer],
    num_epochs: int,
    max_seq_length: int,
    rows_per_step: int,
    seed: int,
) -> list[list[list[_Piece]]]:
    pieces = []
    for epoch in range(num_epochs):
        for row in _permutation(len(answers), seed, epoch):
            start = len(answers[row].prompt_ids)
            pieces.append(_Piece(row=row, start=start, end=start + len(answers[row].answer_ids)))
    rows = list(_pack_in_order(pieces, max_seq_length))
    return [rows[i : i + rows_per_step] for i in range(0, len(rows), rows_per_step)]


def _plan_gold(
    gold: Sequence[TokenizedRow], quotas: Sequence[int], max_seq_length: int, seed: int
) -> list[list[list[_Piece]]]:
    stream = _gold_pieces(gold, seed)
    rest = next(stream)
    steps = []
    for quota in quotas:
        pieces = []
        while quota > 0:
            end = min(rest.end, rest.start + quota)
            pieces.append(_Piece(row=rest.row, start=rest.start, end=end))
            quota -= end - rest.start
            rest = _Piece(row=rest.row, start=end, end=rest.end) if end < rest.end else next(stream)
        steps.append(list(_pack_in_order(pieces, max_seq_length)))
    return steps


def _gold_pieces(gold: Sequence[TokenizedRow], seed: int) -> Iterator[_Piece]:
    for epoch in count():
        for row in _permutation(len(gold), seed, epoch):
            trained = np.flatnonzero(gold[row].labels != IGNORED_LABEL)
            yield _Piece(row=row, start=int(trained[0]), end=int(trained[-1]) + 1)


def _pack_in_order(pieces: Sequence[_Piece], max_seq_length: int) -> Iterator[list[_Piece]]:
    """Rows of at most `max_seq_length` tokens, pieces in their order."""
    row: list[_Piece] = []
    for piece in pieces:
        if row and sum(other.end for other in row) + piece.end > max_seq_length:
            yield row
            row = []
        row.append(piece)
    if row:
        yield row


def _permutation(length: int, seed: int, epoch: int) -> list[int]:
    key = hashlib.sha256(f"{seed}/distillation/{epoch}".encode()).digest()
    order = list(range(length))
    random.Random(key).shuffle(order)
    return order
