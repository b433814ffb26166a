"""Limits that hold where hardly anything changed, which no resampling can see.

Two runs without a single flip are not known to be equal: a change of one item in a thousand would
have left no trace in three hundred. Counts of rare changes are therefore bounded as Poisson counts
are, by the gamma distribution, after division by a design effect where items rise and fall
together. `docs/metrics.md` has the rule and what it does not see.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.distributions import beta_quantile, gamma_quantile, student_quantile
from pipeline.metrics.uncertainty import FloatArray, IntArray

MIN_CHANGES = 20
"""With fewer changed items their design effect is not measured well enough to rely on."""
ASSUMED_CORRELATION = 0.005
"""Correlation of changes within a cluster, assumed until `MIN_CHANGES` items have changed: a design
effect of 1.1 in subjects of 26 questions, of 2.2 in subjects of 246."""
_MANY_SIZES = 5
_TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """How the few items that differ move a weighted mean away from the value all others share."""

    moves: FloatArray
    """How far each item is from the shared value, shape [items]; zero for at least half of them."""
    weights: FloatArray
    """Weight of each item in the mean, shape [items]; they sum to 1."""
    units: IntArray
    """The unit (cluster) of each item, shape [items]."""
    strata: IntArray
    """The stratum (category) of each item, shape [items]."""
    room: tuple[float, float]
    """How far an item that has not changed could move down and up."""

    @cached_property
    def effective_items(self) -> float:
        """Items that one plain mean would need for the same certainty, were all independent."""
        return float(1.0 / (self.weights @ self.weights))

    @cached_property
    def num_strata(self) -> int:
        return len(self._sizes)

    @cached_property
    def _sizes(self) -> IntArray:
        """Items of each stratum."""
        return np.bincount(self.strata)

    @cached_property
    def num_changed(self) -> int:
        return int(np.count_nonzero(self.moves))

    @cached_property
    def crowding(self) -> float:
        """Items in the unit of a typical item, by weight: the design effect of perfect copies."""
        by_unit = np.bincount(self.units, self.weights)
        return float(by_unit @ by_unit) * self.effective_items

    @cached_property
    def correlation(self) -> float:
        """Correlation within a unit that the design effect stands for."""
        if self.crowding <= 1.0 + _TOLERANCE:
            return 0.0
        return min(1.0, (self.design_effect - 1.0) / (self.crowding - 1.0))

    @cached_property
    def design_effect(self) -> float:
        """Variance of the mean with these units / with independent items; never below 1.

        Measured on the changes, and not below the assumption while they are few. A measured one
        carries the error of measuring it on few units (Korn and Graubard 1998).
        """
        if not self.num_changed or self.crowding <= 1.0 + _TOLERANCE:
            return self.assumed_design_effect
        measured = max(1.0, self._measured_design_effect())
        is_few = self.num_changed < MIN_CHANGES
        return max(measured, self.assumed_design_effect) if is_few else measured

    @cached_property
    def assumed_design_effect(self) -> float:
        """The design effect while hardly an item has changed."""
        return 1.0 + ASSUMED_CORRELATION * max(0.0, self.crowding - 1.0)

    def reach(self, level: float) -> tuple[float, float]:
        """Returns how far the mean may lie below and above its value.

        Each direction has limits of its own, and the two are combined as independent.
        Source: Fay and Feuer 1997, gamma limits of a weighted sum of Poisson counts (for equal
            weights Garwood's exact ones); Zou and Donner 2008 for the difference of two.
        """
        is_lost, is_won = self.moves < 0, self.moves > 0
        lost, lost_low, lost_high = self._limits(is_lost, self.room[0], level)
        won, won_low, won_high = self._limits(is_won, self.room[1], level)
        return (
            math.hypot(won - won_low, lost_high - lost),
            math.hypot(won_high - won, lost - lost_low),
        )

    def _limits(
        self, is_moved: NDArray[np.bool_], room: float, level: float
    ) -> tuple[float, float, float]:
        """What these items move the mean by, all in one direction, and its limits."""
        tail = (1.0 - level) / 2.0
        parts = self.weights[is_moved] * np.abs(self.moves[is_moved])
        total, squares = float(parts.sum()), float(parts @ parts)
        by_stratum = np.bincount(self.strata[is_moved], parts, minlength=self.num_strata)
        # Counts that are not rare vary less than Poisson counts do.
        shared = float((by_stratum**2 / self._sizes).sum())
        variance = self.design_effect * max(squares - shared, squares / 2.0)
        unseen = self.design_effect * room / self.effective_items
        low = high = 0.0
        if total > 0.0:
            low = variance / total * gamma_quantile(tail, total**2 / variance)
        if total + unseen > 0.0:
            spread = variance + unseen**2
            shape = (total + unseen) ** 2 / spread
            high = spread / (total + unseen) * gamma_quantile(1.0 - tail, shape)
        return total, low, high

    def _measured_design_effect(self) -> float:
        sizes = self._sizes
        means = np.bincount(self.strata, self.moves) / sizes
        parts = self.weights * (self.moves - means[self.strata])
        by_unit = np.bincount(self.units, parts)
        num_units = len(by_unit)
        spare_units, spare_items = num_units - len(sizes), len(parts) - len(sizes)
        of_items = float(parts @ parts)
        if of_items <= 0.0 or spare_units < 1:
            return self.crowding
        ratio = float(by_unit @ by_unit) / of_items
        ratio *= (num_units / spare_units) / (len(parts) / spare_items)
        return (
            ratio * (student_quantile(0.975, spare_units) / student_quantile(0.975, math.inf)) ** 2
        )


def changes_of(
    values: FloatArray,
    *,
    weights: FloatArray,
    units: IntArray,
    strata: IntArray,
    bounds: tuple[float, float],
) -> Changes | None:
    """Returns the changes among values most of which are equal; None where fewer than half are.

    None also where nothing says how far an unchanged item could move: all values are equal and
    `bounds`, the least and the largest possible value, are infinite.
    """
    shared = _shared_value(values)
    moves = np.where(np.abs(values - shared) <= _TOLERANCE, 0.0, values - shared)
    num_changed = int(np.count_nonzero(moves))
    if 2 * num_changed > len(values):
        return None
    room = (max(shared - bounds[0], 0.0), max(bounds[1] - shared, 0.0))
    # Once several sizes were seen, the largest stands for those that were not.
    if num_changed >= _MANY_SIZES or (num_changed and math.isinf(max(room))):
        largest = float(np.abs(moves).max())
        room = (min(room[0], largest), min(room[1], largest))
    if math.isinf(max(room)):
        return None
    return Changes(moves=moves, weights=weights, units=units, strata=strata, room=room)


def _shared_value(values: FloatArray) -> float:
    """What half of the values are equal to, if there is such a value: one of the two medians."""
    middle = ((len(values) - 1) // 2, len(values) // 2)
    low, high = np.partition(values, middle)[list(middle)]
    if high - low <= _TOLERANCE:
        return float(low)
    counts = [np.count_nonzero(np.abs(values - one) <= _TOLERANCE) for one in (low, high)]
    return float(low if counts[0] >= counts[1] else high)


def share_interval(events: Changes, share: float, level: float) -> tuple[float, float]:
    """Returns the exact interval of a share, `events` being its items that are 0 or 1.

    Source: Clopper and Pearson 1934, on as many independent items as the design effect leaves
        (Korn and Graubard 1998).
    """
    tail = (1.0 - level) / 2.0
    n = events.effective_items / events.design_effect
    num_ones, num_zeros = share * n, (1.0 - share) * n
    low = beta_quantile(tail, num_ones, num_zeros + 1.0) if num_ones > 0.0 else 0.0
    high = beta_quantile(1.0 - tail, num_ones + 1.0, num_zeros) if num_zeros > 0.0 else 1.0
    return low, high
