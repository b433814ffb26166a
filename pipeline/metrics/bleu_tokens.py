"""sacrebleu's tokenizer `zh`, the characters in C and without its substitutions for blanks.

The library replaces each blank by three, which its own split drops again: nearly all of its time on
Chinese, where every character stands between blanks. Its three substitutions for full stops, commas
and dashes look at every character; here only at those signs. Tests hold the two together.
"""

import re
import string

from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

_APART = frozenset(string.punctuation) - frozenset("'-.,")
_PERIODS = re.compile("[.,]+")
_DASH = re.compile("-(?<=[0-9]-)")


class _Spaced(dict[int, str]):
    """A table for `str.translate`: Chinese characters and most punctuation stand between blanks."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        stands_alone = character in _APART or TokenizerZh._is_chinese_char(character)
        self[code] = spaced = f" {character} " if stands_alone else character
        return spaced


_spaced = _Spaced()


def bleu_tokens(text: str) -> list[str]:
    """Returns what `sacrebleu.BLEU(tokenize="zh")` counts in `text`."""
    line = _PERIODS.sub(_periods, text.strip().translate(_spaced))
    return _DASH.sub(" - ", line).split()


def _periods(match: re.Match[str]) -> str:
    """A full stop or comma is a token unless digits, or the text's ends, are on both its sides.

    The library consumes the character before a sign with it, so that in a run every second sign is
    no neighbour; of the last one that decides what follows it.
    """
    line, start, end = match.string, match.start(), match.end()
    last = match[0][-1]
    begins_apart = start > 0 and line[start - 1] not in string.digits
    ends_apart = end < len(line) and line[end] not in string.digits
    is_odd = (end - start) % 2 == 1
    if ends_apart or is_odd == begins_apart:
        last = f" {last} "
    return f" {' '.join(match[0][:-1])} {last}" if end - start > 1 else last
