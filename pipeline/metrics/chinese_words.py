"""The words that jieba 0.42.1 cuts a text into, the definition behind profile `lf-zh-v1`.

jieba cuts in two steps: along the best route through its dictionary, then, where the route leaves
single characters, by a hidden Markov model. The route, nearly all of the work, is found by rjieba,
the port to Rust, which has the same dictionary and computes the same. For the second step rjieba
has the model's numbers in fewer digits, and keeps dates such as 2023.12.31 in one piece: that step
is jieba's own.
"""

from functools import lru_cache

import rjieba
from jieba import finalseg

_SIGNS = frozenset("+#&._%-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_MAX_CACHED = 1 << 15


def words(text: str) -> list[str]:
    """Returns what `list(jieba.cut(text))` is, blanks and line ends as words included."""
    found: list[str] = []
    run = ""
    for token in rjieba.cut(text, hmm=False):
        if _is_single(token):
            run += token
            continue
        if run:
            found += _cut_run(run)
            run = ""
        found.append(token)
    if run:
        found += _cut_run(run)
    return found


def _is_single(token: str) -> bool:
    """Whether the route left its characters alone."""
    if len(token) == 1:
        # What jieba takes for Chinese, and the signs it keeps beside it.
        return "\u4e00" <= token <= "\u9fd5" or token in _SIGNS
    # Without the model rjieba joins letters and digits. A word of the dictionary is always a better
    # route than its letters, so what is joined is no word.
    return token.isascii() and token.isalnum() and not rjieba.has_word(token)


@lru_cache(maxsize=_MAX_CACHED)
def _cut_run(run: str) -> tuple[str, ...]:
    """A run of single characters as jieba's second step cuts it."""
    if len(run) == 1:
        return (run,)
    if rjieba.has_word(run):
        return tuple(run)
    return tuple(finalseg.cut(run))
