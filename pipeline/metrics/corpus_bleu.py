"""Corpus BLEU from sufficient statistics, without sacrebleu.

Apart from `text_overlap` because a comparison page needs only this: importing sacrebleu and
rouge-score (which imports NLTK) takes about two seconds.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_NGRAM_ORDER = 4
NUM_BLEU_STATISTICS = 2 + 2 * MAX_NGRAM_ORDER


def corpus_bleu_from_statistics(counts: ArrayLike) -> NDArray[np.float64]:
    """Returns the corpus BLEU of each row of summed statistics, shape `counts.shape[:-1]`.

    Definition: BP * exp(mean of log precision 1..4); an order without a match counts half, then a
        quarter, ... of one match (sacrebleu's `exp` smoothing); 0 when nothing matches at all or
        when no answer is four tokens long.
    Direction: higher is better; points, 0 to 100.
    Source: sacrebleu 2.6 `BLEU.compute_bleu`, vectorised so that a bootstrap needs no loop.

    Args:
        counts: sums of `SampleOverlap.bleu_statistics`, shape [..., 10].
    """
    sums = np.asarray(counts, dtype=np.float64)
    matched = sums[..., 2 : 2 + MAX_NGRAM_ORDER]
    total = sums[..., 2 + MAX_NGRAM_ORDER :]
    is_zero = matched == 0
    smoothed = np.where(is_zero, 0.5 ** np.cumsum(is_zero, axis=-1), matched)
    defined = ~is_zero.all(axis=-1) & (total > 0).all(axis=-1)
    log_precision = np.log(smoothed) - np.log(np.where(total > 0, total, 1.0))
    bleu = 100.0 * brevity_penalty(sums[..., 0], sums[..., 1]) * np.exp(log_precision.mean(-1))
    return np.where(defined, bleu, 0.0)


def brevity_penalty(num_answer: ArrayLike, num_reference: ArrayLike) -> NDArray[np.float64]:
    """Returns BLEU's factor for answers that are together shorter than the references.

    Definition: 1 if answer length >= reference length, else exp(1 - reference / answer); 0 if every
        answer is empty.
    Direction: 1 is neutral, below 1 the answers are short.
    Source: Papineni et al. 2002; sacrebleu 2.6.
    """
    answer = np.asarray(num_answer, dtype=np.float64)
    reference = np.asarray(num_reference, dtype=np.float64)
    shortfall = reference / np.maximum(answer, 1.0) - 1.0
    return np.where(answer > 0, np.exp(-np.maximum(shortfall, 0.0)), 0.0)
