"""Answers of a domain, ready to be asked how they went on after some tokens.

A suffix array over the tokens of all answers: 8 bytes a token, built by prefix doubling
(Manber and Myers 1993) with numpy's sort, each length that is asked for found by binary search.
"""

import time
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_END = -1
"""Stands behind every answer: no match runs from one answer into the next."""


class AnswerStore:
    """Finds the longest end of a text that occurs in an answer, and what followed it there.

    Args:
        answers: Token ids, none negative; of equally frequent continuations that of the later
            answer wins.
        min_match: Shortest end of a text that counts as found.
    """

    def __init__(self, answers: Sequence[Sequence[int]], *, min_match: int) -> None:
        started = time.perf_counter()
        self.min_match = min_match
        self.num_answers = len(answers)
        flat = [_END, *(token for answer in answers for token in (*answer, _END))]
        self._tokens = np.array(flat, dtype=np.int32)
        self._order = _suffix_array(self._tokens)
        # Single elements of a view are Python numbers, read in half the time of numpy's own.
        self._token_at, self._suffix_at = self._tokens.data, self._order.data
        self.num_tokens = sum(len(answer) for answer in answers)
        self.largest_token = int(self._tokens.max())
        self.num_bytes = self._tokens.nbytes + self._order.nbytes
        self.build_seconds = time.perf_counter() - started

    def continuation(self, sequence: Sequence[int], num_tokens: int) -> list[int]:
        """Up to `num_tokens` tokens that followed the longest end of `sequence` in the store.

        Of the ends of at least `min_match` tokens the longest that occurs with a token behind it.
        Each token is the most frequent one behind that end and the tokens before, of equals the one
        that stands last in the store; an answer's end stops the draft. Empty where nothing matches.
        """
        depth, found = self._longest_match(sequence)
        drafted: list[int] = []
        while found and len(drafted) < num_tokens:
            suffixes = self._order[found.start : found.stop]
            followers, starts, counts = np.unique(
                self._tokens[suffixes + depth], return_index=True, return_counts=True
            )
            best = max(
                range(len(followers)),
                key=lambda at: (
                    counts[at],
                    suffixes[starts[at] : starts[at] + counts[at]].max(),
                ),
            )
            drafted.append(int(followers[best]))
            depth += 1
            start = found.start + int(starts[best])
            found = self._with_follower(range(start, start + int(counts[best])), depth)
        return drafted

    def _longest_match(self, sequence: Sequence[int]) -> tuple[int, range]:
        """(length, places in the suffix array) of the longest end with a token behind it.

        Whatever is part of a match matches too: the length is doubled until one is not found, then
        bisected.
        """
        hit, found, miss = 0, range(0), len(sequence) + 1
        length = self.min_match
        while hit < length < miss:
            here = self._ends_with(sequence[-length:])
            if here:
                hit, found = length, here
            elif hit:
                miss = length
            else:
                break
            length = (hit + miss) // 2 if miss <= 2 * hit else 2 * hit
        return hit, found

    def _ends_with(self, pattern: Sequence[int]) -> range:
        """Places of the suffixes that begin with `pattern` and go on."""
        found = range(len(self._order))
        for depth, token in enumerate(pattern):
            found = self._at_least(found, depth, token)
            found = found[: len(found) - len(self._at_least(found, depth, token + 1))]
            if not found:
                return found
        return self._with_follower(found, len(pattern))

    def _with_follower(self, found: range, depth: int) -> range:
        """Those of the suffixes, equal in `depth` tokens, that do not end an answer there."""
        return self._at_least(found, depth, _END + 1)

    def _at_least(self, found: range, depth: int, token: int) -> range:
        """Those of the suffixes, equal in `depth` tokens, whose next token is not below `token`."""
        tokens, suffixes = self._token_at, self._suffix_at
        first = bisect_left(found, token, key=lambda place: tokens[suffixes[place] + depth])
        return found[first:]


def _suffix_array(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Where the suffixes of `tokens` start, in their lexicographic order."""
    _, rank = np.unique(tokens, return_inverse=True)
    width = 1
    while True:
        # Equal in `width` tokens have equal ranks; twice that is the rank here, then there.
        behind = np.full(len(rank), -1)
        behind[:-width] = rank[width:]
        order = np.lexsort((behind, rank))
        first, second = rank[order], behind[order]
        is_new = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
        rank = np.empty_like(rank)
        rank[order] = np.concatenate([[0], np.cumsum(is_new)])
        width *= 2
        if rank.max() == len(rank) - 1:
            return order.astype(np.int32)
