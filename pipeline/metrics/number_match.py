"""Exact match of the number a generated answer ends in, as lm-evaluation-harness scores GSM8K.

The one score here that reads generated text by a pattern: the number is what such a question asks
for, and no probability of a choice exists. Two ways to find it are kept side by side, because their
difference is the share of answers that are right but not in the form the examples show. Source: the
task `gsm8k`, version 3, of lm-evaluation-harness 0.4.13 (filters `strict-match` and
`flexible-extract`, metric `exact_match`); tests hold this module to the harness's own code.
"""

import re

NOT_FOUND = "[invalid]"
"""What the harness puts where an answer has no number; it equals no reference."""
_STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_IGNORED = tuple(re.compile(pattern) for pattern in (r",", r"\$", r"(?s).*#### ", r"\.$"))


def strict_number(answer: str) -> str:
    """The first number after `#### `, as the few-shot examples write it, or `NOT_FOUND`."""
    found = _STRICT.search(answer)
    return found[1].strip() if found else NOT_FOUND


def flexible_number(answer: str) -> str:
    """The last number anywhere in the answer, with its sign and separators, or `NOT_FOUND`."""
    matches = _FLEXIBLE.findall(answer)
    return next(group for group in matches[-1] if group).strip() if matches else NOT_FOUND


def is_number_match(extracted: str, reference: str) -> bool:
    """Whether an extracted number is the reference's, compared as text.

    Thousands separators, dollar signs and one full stop at the end do not count; of the reference
    only what follows its last `#### ` does. `7` and `7.0` are different, as in the harness.
    """
    return _compared(extracted) == _compared(reference)


def _compared(text: str) -> str:
    for pattern in _IGNORED:
        text = pattern.sub("", text)
    return text.lower()
