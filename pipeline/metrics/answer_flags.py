"""What is conspicuous about one answer, whatever its overlap: for finding it and for counting it.

A flag is a reason to look, not a score. `docs/metrics.md` says what each does not see.
"""

import re
from decimal import Decimal
from enum import StrEnum

from pipeline.metrics.text_overlap import repeated_4gram_rate, tokenize
from pipeline.metrics.written_forms import one_written_form

REPETITION_RATE = 0.3
"""Above what people write: none of the demonstration's 3,264 texts reaches it. A table in words
(.28) comes near, answers stay below .16."""
LENGTH_FACTOR = 3
SHORT_REFERENCE = 10
"""Tokens; a shorter reference counts as this long, so that a full sentence is not over-long."""

_LIST_MARKER = re.compile(r"^\s*[(（]?[0-9]{1,2}(?:[)）、]|[.．](?![0-9]))", re.MULTILINE)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SPELLED = {word: str(value) for value, word in enumerate(_WORDS, start=1)}
_SPELLED |= {character: str(value) for value, character in enumerate("一二三四五六七八九十", 1)}
_SPELLED |= {"两": "2", "eleven": "11", "twelve": "12"}


class AnswerFlag(StrEnum):
    """Why somebody should look at an answer."""

    EMPTY = "empty"
    NUMBER_MISMATCH = "number_mismatch"
    REPETITION = "repetition"
    OVER_LONG = "over_long"
    TRUNCATED = "truncated"


def answer_flags(
    answer: str, reference: str, *, question: str = "", is_cut: bool = False
) -> frozenset[AnswerFlag]:
    """Returns what is conspicuous about an answer.

    Definition: empty, no token of profile `canonical`; number mismatch, `numbers_differ`;
        repetition, `repeated_4gram_rate` of the text's tokens at or above `REPETITION_RATE`;
        over-long, more than `LENGTH_FACTOR` times the reference's tokens; truncated, the engine
        stopped at its limit.

    Args:
        answer: the model's text.
        reference: what is right.
        question: what was asked.
        is_cut: `cut_at_cap` of the stored row; False where the file has no such column.
    """
    tokens = tokenize(answer)
    if not tokens:
        return frozenset({AnswerFlag.EMPTY})
    expected_length = max(len(tokenize(reference)), SHORT_REFERENCE)
    applies = {
        AnswerFlag.NUMBER_MISMATCH: numbers_differ(answer, reference, question=question),
        AnswerFlag.REPETITION: repeated_4gram_rate(tokens) >= REPETITION_RATE,
        AnswerFlag.OVER_LONG: len(tokens) > LENGTH_FACTOR * expected_length,
        AnswerFlag.TRUNCATED: is_cut,
    }
    return frozenset(flag for flag, is_so in applies.items() if is_so)


def numbers_differ(answer: str, reference: str, *, question: str = "") -> bool:
    """Whether one of the two texts has a number that the other and the question lack.

    Definition: numbers in digits after `one_written_form` (so `3.5亿` is `350000000`), without the
        numbering of lists, without zeros at the end of a decimal. Spelled numbers up to twelve
        answer for digits and never ask for them. Units and order are not compared.
    """
    asked = _numbers(question) | _spelled(question)
    ours, theirs = _numbers(answer), _numbers(reference)
    return bool(
        ours - theirs - _spelled(reference) - asked or theirs - ours - _spelled(answer) - asked
    )


def _numbers(text: str) -> frozenset[str]:
    folded = _LIST_MARKER.sub("", one_written_form(text))
    return frozenset(f"{Decimal(number).normalize():f}" for number in _NUMBER.findall(folded))


def _spelled(text: str) -> frozenset[str]:
    found = re.findall("[a-z]+|[一二三四五六七八九十两]", text.lower())
    return frozenset(_SPELLED[word] for word in found if word in _SPELLED)
