"""ROUGE and BLEU of answers against references, profile `lf-zh-v1`: as LLaMA-Factory has them.

The definition is that of its `ComputeSimilarity` on jieba 0.42.1, rouge-chinese 1.0.3 and NLTK
3.10.4, odd as it is in places: the tests hold every step against the three. n-grams are sets, so
repetition costs nothing; a blank line is a word; BLEU is of single characters, blanks and line ends
included, and cannot reach 100 below four of them. Scores are in points, 0 to 100, rounded to four
places; higher is better.
"""

import math
import re
from collections.abc import Hashable, Iterable, Sequence

from pipeline.contracts.samples import Score
from pipeline.metrics.chinese_words import words
from pipeline.metrics.ngram_overlap import (
    check_pairs,
    longest_common_subsequence,
    ngrams,
    num_ngrams,
    shared_ngrams_by_order,
)

MAX_NGRAM_ORDER = 4
_EPSILON = 1e-8
# rouge-chinese ends sentences by these, in this order, and counts an empty one as an empty word.
_SENTENCE_ENDS = (
    (re.compile("([。！？?])([^”’])"), r"\1\n\2"),
    (re.compile(r"(\.{6})([^”’])"), r"\1\n\2"),
    (re.compile("(…{2})([^”’])"), r"\1\n\2"),
    (re.compile("([。！？?][”’])([^，。！？?])"), r"\1\n\2"),
)


def score_lf(predictions: Sequence[str], references: Sequence[str]) -> list[dict[str, Score]]:
    """Returns rouge1, rouge2, rougeL and bleu4 of each pair, in order; an empty side scores 0.

    Definition: ROUGE-N F = 2PR / (P + R + 1e-8) over sets of jieba words, P and R the shared share
        of the answer's and of the reference's; ROUGE-L the same with the longest common subsequence
        of all words; BLEU-4 of characters by sentence, an order without a match counting 1/2, 1/4,
        ... of one (NLTK's `method3`). A set's figure is the mean over its answers.
    Direction: higher is better.
    Source: LLaMA-Factory `train/sft/metric.py`; Lin 2004; Papineni et al. 2002; Chen and Cherry
        2014, method 3.

    Raises:
        EvaluationError: `eval.items_differ`, the two sequences have different lengths.
    """
    check_pairs(predictions, references)
    return [_score(*pair) for pair in zip(predictions, references, strict=True)]


def _score(prediction: str, reference: str) -> dict[str, Score]:
    ours, theirs = rouge_words(prediction), rouge_words(reference)
    scores = dict.fromkeys(("rouge1", "rouge2", "rougeL"), 0.0)
    if ours and theirs:
        common = longest_common_subsequence(ours, theirs)
        scores = {
            "rouge1": _set_f(ours, theirs),
            "rouge2": _set_f(ngrams(ours, 2), ngrams(theirs, 2)),
            "rougeL": _f(common, len(ours), len(theirs)),
        }
    scores["bleu4"] = _bleu(prediction, reference)
    return {name: round(100 * score, 4) for name, score in scores.items()}


def rouge_words(text: str) -> list[str]:
    """Returns the words rouge-chinese counts; none where there is nothing but blanks."""
    joined = " ".join(words(text))
    if not joined.strip():
        return []
    for pattern, replacement in _SENTENCE_ENDS:
        joined = pattern.sub(replacement, joined)
    lines = joined.rstrip().split("\n")
    return [word for line in lines if line for word in line.split() or [""]]


def _set_f(ours: Iterable[Hashable], theirs: Iterable[Hashable]) -> float:
    left, right = set(ours), set(theirs)
    return _f(len(left & right), len(left), len(right))


def _f(num_shared: int, num_ours: int, num_theirs: int) -> float:
    precision, recall = num_shared / max(num_ours, 1), num_shared / max(num_theirs, 1)
    return 2.0 * (precision * recall / (precision + recall + _EPSILON))


def _bleu(prediction: str, reference: str) -> float:
    matches = shared_ngrams_by_order(prediction, reference, MAX_NGRAM_ORDER)
    if not matches[0]:
        return 0.0
    precisions = []
    smoothing = 1.0
    for order, num_matches in enumerate(matches, start=1):
        total = max(num_ngrams(prediction, order), 1)
        if num_matches == 0:
            smoothing *= 2.0
        precisions.append(num_matches / total if num_matches else 1 / (smoothing * total))
    shortfall = max(len(reference) / len(prediction) - 1, 0.0)
    return math.exp(-shortfall) * math.exp(math.fsum(map(math.log, precisions)) / len(precisions))
