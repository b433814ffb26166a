"""Benchmarks whose truth is known: what a base answers, and what a new model loses and wins of it.

Base accuracy 0.60 on four choices, so 0.35 above chance. Losses are drawn for each item, or each
cluster loses its own share.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.contracts.evaluation_results import RetentionResults
from pipeline.metrics.retention import measure_table
from pipeline.metrics.retention_table import RetentionItem, RetentionTable
from pipeline.metrics.uncertainty import FloatArray

ACCURACY = 0.60
HEADROOM = ACCURACY - 0.25

LossByCluster = Callable[[np.random.Generator, int], FloatArray]
"""Draws the share of its items that each of so many clusters loses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """How many items a benchmark has, and how they stand together."""

    name: str
    num_items: int
    num_clusters: int | None = None
    """None: every item stands alone."""
    num_categories: int = 1

    def table(self) -> RetentionTable:
        """The benchmark, nothing answered yet."""
        numbers = np.arange(self.num_items)
        of = numbers if self.num_clusters is None else numbers % self.num_clusters
        return RetentionTable.of(
            [
                RetentionItem(
                    item_id=f"{number:06d}",
                    category=f"category-{of[number] % self.num_categories}",
                    base=0.0,
                    new=0.0,
                    num_choices=4,
                    cluster=None if self.num_clusters is None else f"subject-{of[number]:03d}",
                )
                for number in numbers
            ]
        )


MMLU = Shape(name="14,022 items, 57 subjects", num_items=14_022, num_clusters=57, num_categories=4)
C_EVAL = Shape(name="1,352 items, 52 subjects", num_items=1_352, num_clusters=52, num_categories=4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """What a new model loses and wins."""

    lost: float | LossByCluster = 0.0
    """Share of all items that were right and become wrong."""
    won: float = 0.0
    """Share of all items that were wrong and become right."""
    collapsed: int | None = None
    """A cluster in which the new model guesses."""

    def answered(self, table: RetentionTable, rng: np.random.Generator) -> RetentionTable:
        """The benchmark with the answers of both models."""
        lost = self.lost
        shares: float | FloatArray = (
            lost(rng, len(table.clusters))[table.unit] if callable(lost) else lost
        )
        base = rng.random(len(table.base)) < ACCURACY
        chance = rng.random(len(table.base))
        new = np.where(base, chance >= shares / ACCURACY, chance < self.won / (1.0 - ACCURACY))
        if self.collapsed is not None:
            new = np.where(table.unit == self.collapsed, rng.random(len(new)) < 0.25, new)
        return replace(table, base=base.astype(np.float64), new=new.astype(np.float64))


def uneven(mean: float, correlation: float) -> LossByCluster:
    """Every cluster loses a beta share of what was right, its items correlated by so much."""
    total, of_right = 1.0 / correlation - 1.0, mean / ACCURACY
    return lambda rng, num_clusters: (
        ACCURACY * rng.beta(of_right * total, (1.0 - of_right) * total, num_clusters)
    )


def in_few(mean: float, share: float, elsewhere: float = 0.0) -> LossByCluster:
    """A `share` of clusters, drawn anew each time, has all that is lost beyond `elsewhere`."""

    def draw(rng: np.random.Generator, num_clusters: int) -> FloatArray:
        is_hit = rng.random(num_clusters) < share
        return np.where(is_hit, elsewhere + mean / share, elsewhere)

    return draw


def measured(
    shape: Shape, planted: Planted, margin: float, *, repeats: int, seed: int
) -> list[RetentionResults]:
    """The product's results on so many draws of the planted case."""
    table, rng = shape.table(), np.random.default_rng(seed)
    return [measure_table(planted.answered(table, rng), margin=margin) for _ in range(repeats)]
