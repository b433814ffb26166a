"""Shared n-grams and the longest common subsequence of two token lists, in linear memory.

rouge-score defines the figures of ROUGE and is their oracle in the tests, sacrebleu those of BLEU;
both count in Python loops, rouge-score the longest common subsequence cell by cell. Here sets and
`collections.Counter` count, and the subsequence is RapidFuzz's bit-parallel one (Hyyro 2004).
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from rapidfuzz.distance import LCSseq

from pipeline.errors import EvaluationError


def check_pairs(predictions: Sequence[str], references: Sequence[str]) -> None:
    """There is one prediction for each reference.

    Raises:
        EvaluationError: `eval.items_differ`, the two sequences have different lengths.
    """
    if len(predictions) != len(references):
        raise EvaluationError(
            "eval.items_differ",
            f"{len(predictions)} predictions for {len(references)} references; "
            "give one prediction, possibly empty, for each reference",
        )


def ngrams(tokens: Sequence[Hashable], order: int) -> Iterable[Hashable]:
    """Returns every run of `order` tokens, repeated ones included."""
    if order == 1:
        return tokens
    return zip(*(tokens[start:] for start in range(order)), strict=False)


def num_ngrams(tokens: Sequence[Hashable], order: int) -> int:
    """Returns how many `ngrams` has."""
    return max(len(tokens) - order + 1, 0)


def num_shared_ngrams(ours: Sequence[Hashable], theirs: Sequence[Hashable], order: int) -> int:
    """Returns the clipped number of matches: each n-gram as often as both have it."""
    left, right = set(ngrams(ours, order)), set(ngrams(theirs, order))
    shared = left & right
    # Where one side repeats nothing every match counts once; most n-grams above unigrams do not
    # repeat, and sets are several times cheaper than counters.
    if len(left) == num_ngrams(ours, order) or len(right) == num_ngrams(theirs, order):
        return len(shared)
    left_counts, right_counts = Counter(ngrams(ours, order)), Counter(ngrams(theirs, order))
    return sum(min(left_counts[ngram], right_counts[ngram]) for ngram in shared)


def shared_ngrams_by_order(
    ours: Sequence[Hashable], theirs: Sequence[Hashable], max_order: int
) -> list[int]:
    """Returns `num_shared_ngrams` of the orders 1 to `max_order`."""
    found: list[int] = []
    for order in range(1, max_order + 1):
        # Texts that share no pair share no longer n-gram either.
        is_possible = not found or found[-1]
        found.append(num_shared_ngrams(ours, theirs, order) if is_possible else 0)
    return found


def longest_common_subsequence(ours: Iterable[Hashable], theirs: Iterable[Hashable]) -> int:
    """Returns its length in tokens."""
    # RapidFuzz compares hashes of strings; numbers of its own for each token cannot collide.
    numbers: dict[Hashable, int] = {}
    left, right = (
        [numbers.setdefault(token, len(numbers)) for token in tokens] for tokens in (ours, theirs)
    )
    return LCSseq.similarity(left, right)


def f1(num_matches: int, num_ours: int, num_theirs: int) -> float:
    """Returns 2 * precision * recall / (precision + recall), 0 to 1, as rouge-score rounds it."""
    precision = num_matches / max(num_ours, 1)
    recall = num_matches / max(num_theirs, 1)
    return 2 * precision * recall / (precision + recall) if num_matches else 0.0
