"""Retention over a group of items: one category, all items alike, or all categories alike.

Array names carry their shape: N items, G units, C categories, K the columns that are summed.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import RetentionGroup
from pipeline.metrics.estimation import (
    NO_REACH,
    Extent,
    difference_estimate,
    ratio_estimate,
    share_estimate,
)
from pipeline.metrics.exact_limits import Changes, changes_of
from pipeline.metrics.retention_table import RetentionTable
from pipeline.metrics.uncertainty import (
    FloatArray,
    IntArray,
    Jackknifed,
    Strata,
    jackknifed,
    unit_sums,
)

MIN_ABOVE_CHANCE = 0.10
"""Below this distance of the base from guessing, the adjusted ratio would divide by noise."""
_COUNT, _BASE, _NEW, _CHANCE = range(4)
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class ItemGroup:
    """Items with their units and categories, and how the categories are weighed."""

    scores: FloatArray
    """1 (the count), base, new and chance of each item, shape [N, K]."""
    unit: IntArray
    """Number of each item's unit, from 0; units are ordered by category."""
    category: IntArray
    """Number of each item's category, from 0."""
    is_macro: bool
    """Every category weighs the same; otherwise every item does."""

    @classmethod
    def of_all(cls, table: RetentionTable, *, is_macro: bool) -> "ItemGroup":
        """Every item of the table."""
        scores = np.column_stack([np.ones(len(table.base)), table.base, table.new, table.chance])
        return cls(scores=scores, unit=table.unit, category=table.category, is_macro=is_macro)

    def of_category(self, number: int) -> "ItemGroup":
        """The items of one category; this group itself where there is but one."""
        if len(self.units_in_category) == 1:
            return self
        rows = slice(*np.searchsorted(self.category, [number, number + 1]))
        unit = self.unit[rows]
        return ItemGroup(
            scores=self.scores[rows],
            unit=unit - unit.min(),
            category=np.zeros(len(unit), dtype=np.intp),
            is_macro=False,
        )

    @cached_property
    def num_units(self) -> int:
        return int(self.unit.max()) + 1

    @cached_property
    def units_in_category(self) -> IntArray:
        """Shape [C]."""
        return np.bincount(self._category_of_unit)

    @cached_property
    def weights(self) -> FloatArray:
        """Weight of each item in the mean, shape [N]."""
        sizes = np.bincount(self.category)
        if not self.is_macro:
            return np.full(len(self.category), 1.0 / len(self.category))
        return np.asarray(1.0 / (len(sizes) * sizes[self.category]))

    @cached_property
    def changes(self) -> Changes:
        """Of each item, from base to new; from what most items share where they do."""
        return self._rare_changes or Changes(
            moves=self.gains,
            weights=self.weights,
            units=self.unit,
            strata=self.category,
            room=(1.0, 1.0),
        )

    def share(self, is_event: FloatArray, level: float) -> Estimate:
        """The share of items that are 1, the others being 0, with its exact interval."""
        share = float(self.weights @ is_event)
        events = Changes(
            moves=is_event - float(share > 0.5),
            weights=self.weights,
            units=self.unit,
            strata=self.category,
            room=(1.0, 1.0),
        )
        return share_estimate(events, share, self.extent(level))

    def extent(self, level: float) -> Extent:
        return Extent(n=len(self.unit), num_units=self.num_units, level=level)

    def retention(self, level: float) -> RetentionGroup:
        """Difference and ratios of the means, each with its interval."""
        if level not in self._retentions:
            self._retentions[level] = self._measured(level)
        return self._retentions[level]

    @cached_property
    def _retentions(self) -> dict[float, RetentionGroup]:
        """By level, what was measured so far."""
        return {}

    def _measured(self, level: float) -> RetentionGroup:
        base, new, chance = (self._mean(column) for column in (_BASE, _NEW, _CHANCE))
        difference = new.minus(base)
        reach = NO_REACH
        if difference.has_error and self._rare_changes is not None:
            reach = self._rare_changes.reach(level)
        extent = self.extent(level)
        has_adjusted = base.value - chance.value >= MIN_ABOVE_CHANCE - _ROUNDING
        return RetentionGroup(
            base=base.value,
            new=new.value,
            chance=chance.value,
            difference=difference_estimate(difference, reach, extent),
            ratio=ratio_estimate(new, base, reach, extent, lowest=0.0),
            adjusted_ratio=(
                ratio_estimate(new.minus(chance), base.minus(chance), reach, extent)
                if has_adjusted
                else None
            ),
        )

    @cached_property
    def gains(self) -> FloatArray:
        """By how much each item is higher in the new model, shape [N]."""
        return np.asarray(self.scores[:, _NEW] - self.scores[:, _BASE])

    @cached_property
    def _rare_changes(self) -> Changes | None:
        return changes_of(
            self.gains,
            weights=self.weights,
            units=self.unit,
            strata=self.category,
            bounds=(-1.0, 1.0),
        )

    @cached_property
    def _category_of_unit(self) -> IntArray:
        category = np.zeros(self.num_units, dtype=np.intp)
        category[self.unit] = self.category
        return category

    @cached_property
    def _strata(self) -> Strata:
        return Strata.of_sizes(self.units_in_category)

    @cached_property
    def _means(self) -> tuple[FloatArray, FloatArray]:
        """Mean of each column, shape [K], and without each unit, shape [G, K]."""
        sums_GK = unit_sums(self.scores, self.unit)
        totals_CK = np.add.reduceat(sums_GK, self._strata.starts)
        if self.is_macro:
            means_CK = totals_CK / totals_CK[:, [_COUNT]]
            of_unit = self._category_of_unit
            moved_GK = _without(totals_CK[of_unit], sums_GK) - means_CK[of_unit]
            means_K = means_CK.mean(axis=0)
            return means_K, means_K + moved_GK / len(means_CK)
        total_K = totals_CK.sum(axis=0)
        return total_K / total_K[_COUNT], _without(total_K, sums_GK)

    def _mean(self, column: int) -> Jackknifed:
        means_K, without_GK = self._means
        return jackknifed(float(means_K[column]), without_GK[:, column], self._strata)


def _without(total: FloatArray, sums_GK: FloatArray) -> FloatArray:
    """The mean without each unit; a unit that is all there is stays."""
    left_GK = total - sums_GK
    left_GK = np.where(left_GK[:, [_COUNT]] > 0, left_GK, total)
    return np.asarray(left_GK / left_GK[:, [_COUNT]])
