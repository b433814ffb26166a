"""Figures of a version's rows for its manifest: rows by value, and lengths of the texts.

Rows come in groups and are counted column by column, which costs a fraction of counting them one by
one. Memory is bounded by the constants below, whatever the rows hold.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.contracts.dataset_manifest import LengthSummary, ValueCounts

MAX_COUNTED_VALUES = 100
MAX_COUNTED_KEYS = 20
MAX_COUNTED_CHARS = 60
COUNTED_COLUMNS = ("lang", "source", "license")


class RowFigures:
    """Counts and lengths of all rows so far.

    Args:
        text_fields: Fields whose lengths are told, in the order in which `add_row` gets them.
    """

    def __init__(self, text_fields: Sequence[str]) -> None:
        self._text_fields = text_fields
        self._waiting_lengths: list[tuple[int, ...]] = []
        self._waiting_values: dict[str, list[str]] = {name: [] for name in COUNTED_COLUMNS}
        """Of the fields that are counted, in the order in which they appeared."""
        self._tallies: dict[str, Counter[str]] = {}
        self._num_other: Counter[str] = Counter()
        self._lengths: dict[str, tuple[int, int, int]] = {}
        """Field -> fewest, most and all characters."""
        self._num_rows = 0

    def add_row(self, lengths: tuple[int, ...], meta: Mapping[str, Any]) -> None:
        """One row of the group; its `COUNTED_COLUMNS` come with `add_columns`."""
        self._waiting_lengths.append(lengths)
        for key, value in meta.items():
            if not isinstance(value, str | int):
                continue
            text = str(value)
            if len(text) > MAX_COUNTED_CHARS:
                continue
            field = f"meta.{key}"
            values = self._waiting_values.get(field)
            if values is None:
                if len(self._waiting_values) >= MAX_COUNTED_KEYS:
                    continue
                values = self._waiting_values[field] = []
            values.append(text)

    def add_columns(self, columns: Mapping[str, Sequence[str]]) -> None:
        """The group is complete; `columns` has its `COUNTED_COLUMNS`."""
        for name in COUNTED_COLUMNS:
            self._waiting_values[name].extend(columns[name])
        for name, values in self._waiting_values.items():
            if values:
                self._count(name, values)
                values.clear()
        for field, column in zip(
            self._text_fields, zip(*self._waiting_lengths, strict=True), strict=False
        ):
            fewest, most, total = self._lengths.get(field, (column[0], column[0], 0))
            self._lengths[field] = min(fewest, *column), max(most, *column), total + sum(column)
        self._num_rows += len(self._waiting_lengths)
        self._waiting_lengths.clear()

    def _count(self, field: str, values: Iterable[str]) -> None:
        tally = self._tallies.setdefault(field, Counter())
        # In the order of first appearance, so that groups do not decide which values are told.
        for value, count in Counter(values).items():
            if value in tally or len(tally) < MAX_COUNTED_VALUES:
                tally[value] += count
            else:
                self._num_other[field] += count

    def counts(self) -> dict[str, ValueCounts]:
        """Rows by value, for the fields that have few values; most frequent first."""
        return {
            field: ValueCounts(values=dict(tally.most_common()), num_other=self._num_other[field])
            for field, tally in self._tallies.items()
            if not field.startswith("meta.") or not self._num_other[field]
        }

    def lengths(self) -> dict[str, LengthSummary]:
        """Characters by text field."""
        return {
            field: LengthSummary(min=fewest, mean=round(total / self._num_rows, 1), max=most)
            for field, (fewest, most, total) in self._lengths.items()
        }
