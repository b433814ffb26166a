"""In which language a text is, by its script: what is declared wrongly is far from a close call.

Han characters count as one unit each, and so do kana, hangul and words of Latin letters. A text has
a language when it has eight units or more and one script has at least 70% of them (Han with 10% of
kana is Japanese). Nothing is said of other texts: formulas, code, names, mixtures.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.data.quality.windows import code_points

MIN_UNITS = 8
MIN_SHARE = 0.7
MIN_KANA_SHARE = 0.1
MAX_CHARACTERS = 20_000
"""The beginning of a text tells its language."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """What the script says."""

    code: str
    """ISO 639-1."""
    share: float
    """Of the text's units that are of this language's script, 0 to 1."""


def find_language(text: str) -> Language | None:
    """The text's language; None where its script does not tell."""
    points = code_points(text[:MAX_CHARACTERS])
    han = _count(points, (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x323AF))
    kana = _count(points, (0x3040, 0x30FF))
    hangul = _count(points, (0xAC00, 0xD7A3))
    words = _num_latin_words(points)
    total = han + kana + hangul + words
    if total < MIN_UNITS:
        return None
    if kana >= MIN_KANA_SHARE * (han + kana) and (han + kana) >= MIN_SHARE * total:
        return Language(code="ja", share=(han + kana) / total)
    for code, units in (("zh", han), ("en", words), ("ko", hangul)):
        if units >= MIN_SHARE * total:
            return Language(code=code, share=units / total)
    return None


def _count(points: np.ndarray, *ranges: tuple[int, int]) -> int:
    return sum(int(((points >= low) & (points <= high)).sum()) for low, high in ranges)


def _num_latin_words(points: np.ndarray) -> int:
    lower = points | 0x20
    is_letter = ((lower >= 0x61) & (lower <= 0x7A)) | ((points >= 0xC0) & (points <= 0x24F))
    begins = is_letter.copy()
    begins[1:] &= ~is_letter[:-1]
    return int(begins.sum())
