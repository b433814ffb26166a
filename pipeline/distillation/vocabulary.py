"""Which tokens a draft may say: the target's own frequent ones.

The output layer reads vocabulary x width numbers for each drafted token and is most of a small
draft's cost, in training as in use. Few of its rows are ever needed (docs/distillation.md).
"""

from collections.abc import Sequence

import numpy as np

from pipeline.contracts.training_results import DraftVocabularyFigures
from pipeline.distillation.cache import TeacherAnswer


def frequent_tokens(
    answers: Sequence[TeacherAnswer],
    size: int,
    *,
    vocab_size: int,
    stop_token_ids: Sequence[int],
) -> np.ndarray:
    """The `size` tokens that `answers` hold most often, int64 in rising order.

    Stop tokens come first, whatever their number. Equally frequent tokens, most of all those that
    do not occur, follow by the probability the target gave them at all positions, then by id: a few
    thousand tokens of text hold hundreds of different ones, and what the target nearly said there
    it says elsewhere. Same answers, same tokens.

    Args:
        answers: what the draft is trained on.
        size: tokens wanted; at most `vocab_size` are returned.
        vocab_size: tokens of the target.
        stop_token_ids: tokens that end an answer.
    """
    counts, expected = np.zeros(vocab_size, np.int64), np.zeros(vocab_size)
    for answer in answers:
        np.add.at(counts, answer.answer_ids, 1)
        np.add.at(expected, answer.topk_ids, np.exp(answer.topk_logprobs, dtype=np.float64))
    # Rounded, so that the last bits of another machine's exp do not decide.
    by_frequency = np.lexsort((-expected.round(9), -counts)).tolist()
    chosen = list(dict.fromkeys([*stop_token_ids, *by_frequency]))
    return np.array(sorted(chosen[: max(size, len(set(stop_token_ids)))]), np.int64)


def vocabulary_figures(
    token_ids: np.ndarray,
    trained: Sequence[TeacherAnswer],
    heldback: Sequence[TeacherAnswer],
) -> DraftVocabularyFigures:
    """How much of the target's answers the tokens hold."""
    return DraftVocabularyFigures(
        size=len(token_ids),
        coverage_trained=_coverage(token_ids, trained),
        coverage_heldback=_coverage(token_ids, heldback),
    )


def _coverage(token_ids: np.ndarray, answers: Sequence[TeacherAnswer]) -> float:
    said = np.concatenate([answer.answer_ids for answer in answers])
    return float(np.isin(said, token_ids).mean())
