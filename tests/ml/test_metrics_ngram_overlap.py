"""Counting against the obvious way, with every mixture of repeated and distinct n-grams."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from pipeline.metrics.ngram_overlap import (
    longest_common_subsequence,
    ngrams,
    num_ngrams,
    num_shared_ngrams,
)


def clipped(ours: Sequence[str], theirs: Sequence[str], order: int) -> int:
    left, right = (
        Counter(tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1))
        for tokens in (ours, theirs)
    )
    return (left & right).total()


def common_length(ours: Sequence[str], theirs: Sequence[str]) -> int:
    row = [0] * (len(theirs) + 1)
    for mine in ours:
        before = row
        row = [0]
        for column, other in enumerate(theirs):
            row.append(
                before[column] + 1 if mine == other else max(before[column + 1], row[column])
            )
    return row[-1]


@pytest.mark.parametrize("alphabet", ["a", "ab", "abcdefgh", [f"w{n}" for n in range(60)]])
def test_counts_equal_the_obvious_way(alphabet: Sequence[str]) -> None:
    rng = random.Random(len(alphabet))
    for _ in range(150):
        ours, theirs = (rng.choices(alphabet, k=rng.randint(0, 25)) for _ in range(2))
        for order in range(1, 5):
            assert num_shared_ngrams(ours, theirs, order) == clipped(ours, theirs, order)
            assert num_ngrams(ours, order) == len(list(ngrams(ours, order)))
        assert longest_common_subsequence(ours, theirs) == common_length(ours, theirs)


def test_a_text_is_a_list_of_its_characters() -> None:
    assert num_shared_ngrams("aabb", "abab", 1) == 4
    assert num_shared_ngrams("aabb", "abab", 2) == 1
    assert list(ngrams("abc", 2)) == [("a", "b"), ("b", "c")]


def test_tokens_of_one_hash_are_told_apart() -> None:
    """-1 and -2 hash alike; RapidFuzz would take them for one token."""
    assert longest_common_subsequence([-1, -1], [-2, -2]) == 0
