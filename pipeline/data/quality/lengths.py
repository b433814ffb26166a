"""Texts that are far shorter or longer than the others of their field.

The rule: beyond the quartiles by more than the third power of the factor between them, that factor
taken as 1.5 at least. On the scale of logarithms these are Tukey's outer fences (1977), which a few
extreme texts cannot move. It needs 20 texts; 4 bytes a text are kept.
"""

import math
from array import array
from collections.abc import Iterator

import numpy as np

from pipeline.contracts.quality_checks import LengthRule

MIN_TEXTS = 20
MIN_FACTOR = 1.5
POWER = 3


class Lengths:
    """Characters of the texts of one field, rows in order."""

    def __init__(self, field: str) -> None:
        self.field = field
        self._characters = array("I")
        self._rows = array("I")

    def add(self, row: int, num_characters: int) -> None:
        """A text of the row; empty ones are no outliers, because fields may be left out."""
        if num_characters:
            self._rows.append(row)
            self._characters.append(num_characters)

    def rule(self) -> LengthRule | None:
        """The fences; None for too few texts."""
        if len(self._characters) < MIN_TEXTS:
            return None
        first, median, third = np.percentile(
            np.frombuffer(self._characters, dtype=np.uint32), (25, 50, 75)
        )
        factor = max(float(third / first), MIN_FACTOR) ** POWER
        return LengthRule(
            field=self.field,
            shortest=math.ceil(first / factor),
            median=float(median),
            longest=math.floor(third * factor),
        )

    def outliers(self, rule: LengthRule) -> Iterator[tuple[int, int]]:
        """(row, characters) of the texts outside the fences."""
        for row, length in zip(self._rows, self._characters, strict=True):
            if not rule.shortest <= length <= rule.longest:
                yield row, length
