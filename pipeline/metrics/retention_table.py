"""The items of a retention measurement as arrays: checked, paired, and ordered by category."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError, EvaluationError
from pipeline.metrics.uncertainty import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, slots=True)
class RetentionItem:
    """One general-ability item scored by both models; a score in [0, 1], None if there is none."""

    item_id: str
    category: str
    base: float | None
    new: float | None
    num_choices: int | None = None
    """Options of a multiple-choice item; None where guessing scores nothing."""
    cluster: str | None = None
    """Items of one passage or subject that rise and fall together; None is a cluster of its own."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RetentionTable:
    """What both models scored, one row for each item; rows of a category stand together."""

    base: FloatArray
    new: FloatArray
    chance: FloatArray
    """What guessing scores."""
    category: IntArray
    """Place in `categories`; never falls from one row to the next."""
    unit: IntArray
    """Number of the item's cluster within its category, or its own; units of a category follow each
    other."""
    categories: tuple[str, ...]
    clusters: tuple[str | None, ...]
    """Name of each unit's cluster; None for an item that stands alone."""
    num_missing: int
    """Items that only one model, or none, has a score of."""

    @classmethod
    def of(cls, items: Sequence[RetentionItem]) -> "RetentionTable":
        """The items that both models scored.

        Raises:
            DataError: `data.empty`; `data.row_invalid`, a repeated id, a score outside [0, 1] or
                fewer than two choices.
            EvaluationError: `eval.items_differ`, no item has both scores.
        """
        _check_items(items)
        scored = [item for item in items if item.base is not None and item.new is not None]
        if not scored:
            raise EvaluationError(
                "eval.items_differ",
                f"none of the {len(items)} items has a score of both models; evaluate both on the"
                " same items",
            )
        # No figure may depend, in its last bit, on the order the items were given in.
        scored.sort(key=lambda item: (item.category, item.item_id))
        categories, category = np.unique([item.category for item in scored], return_inverse=True)
        # The prefix keeps an item without a cluster apart from a cluster named like its id.
        names, named = np.unique(
            [
                f"item:{item.item_id}" if item.cluster is None else f"cluster:{item.cluster}"
                for item in scored
            ],
            return_inverse=True,
        )
        units, unit = np.unique(category * len(names) + named, return_inverse=True)
        clusters = [str(names[number % len(names)]) for number in units]
        return cls(
            base=np.array([item.base for item in scored], dtype=np.float64),
            new=np.array([item.new for item in scored], dtype=np.float64),
            chance=np.array(
                [1.0 / item.num_choices if item.num_choices else 0.0 for item in scored]
            ),
            category=category,
            unit=unit,
            categories=tuple(str(name) for name in categories),
            clusters=tuple(
                name.removeprefix("cluster:") if name.startswith("cluster:") else None
                for name in clusters
            ),
            num_missing=len(items) - len(scored),
        )

    @property
    def is_binary(self) -> bool:
        """Whether every score is right (1) or wrong (0)."""
        return all(bool(((one == 0.0) | (one == 1.0)).all()) for one in (self.base, self.new))


def _check_items(items: Sequence[RetentionItem]) -> None:
    if not items:
        raise DataError("data.empty", "no item to measure retention on; choose a benchmark")
    seen: set[str] = set()
    for item in items:
        if item.item_id in seen:
            raise DataError(
                "data.row_invalid", f"item id {item.item_id!r} occurs twice; ids must be unique"
            )
        seen.add(item.item_id)
        for model, score in (("base", item.base), ("new", item.new)):
            if score is not None and not 0.0 <= score <= 1.0:
                raise DataError(
                    "data.row_invalid",
                    f"item {item.item_id!r}: {model} score is {score}; give a share from 0 to 1",
                )
        if item.num_choices is not None and item.num_choices < 2:
            raise DataError(
                "data.row_invalid",
                f"item {item.item_id!r}: num_choices is {item.num_choices}; give 2 or more, or None"
                " where guessing scores nothing",
            )
