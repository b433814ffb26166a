"""What rounds of each kind cost, from rounds that were timed beside plain steps."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.contracts.decoding_results import DecodingCosts, RoundCost
from pipeline.decoding.rounds import RoundKind, TimedRound

MIN_ROUNDS = 5
"""A kind of round that was timed less often has the modelled cost."""

FloatArray = NDArray[np.float64]


class RoundCosts:
    """R of each kind of round, in plain steps of the target: medians of timed rounds.

    Kinds that hardly occurred cost what their parts do, n c + v(d), times the median of what timed
    rounds took in terms of theirs: a sum could fall below 0. `h` is the median of what timed
    rounds took beyond n c + v(d), and may be negative.

    Args:
        costs: c and v; its `h` is not read.
        timed: Rounds of one arm.
        num_asked: Draft length whose rounds give `h`; None for all.
    """

    def __init__(
        self, costs: DecodingCosts, timed: Sequence[TimedRound], *, num_asked: int | None = None
    ) -> None:
        self.c, self.v = costs.c, costs.v
        by_kind: dict[RoundKind, list[float]] = {}
        for one in timed:
            by_kind.setdefault(one.kind, []).append(one.cost)
        self.timed = {kind: np.array(found) for kind, found in sorted(by_kind.items())}
        of_length = [one for one in timed if num_asked in (None, one.num_asked)]
        counted = of_length if len(of_length) >= MIN_ROUNDS else timed
        self._beyond = np.array([one.cost - self._modelled(one.kind) for one in counted])
        self._factors = np.array([one.cost / self._modelled(one.kind) for one in counted])

    @property
    def h(self) -> float:
        """Median of what rounds took beyond n c + v(d); 0 where none was timed."""
        return float(np.median(self._beyond)) if len(self._beyond) else 0.0

    def of(self, kind: RoundKind) -> float:
        """R of such a round."""
        if self._is_measured(kind):
            return float(np.median(self.timed[kind]))
        factor = float(np.median(self._factors)) if len(self._factors) else 1.0
        return self._modelled(kind) * factor

    def draws(self, kind: RoundKind, num_draws: int, rng: np.random.Generator) -> FloatArray:
        """R from rounds drawn with replacement, `num_draws` times: the spread of `of`."""
        if self._is_measured(kind):
            return _medians(self.timed[kind], num_draws, rng)
        if not len(self._factors):
            return np.full(num_draws, self._modelled(kind))
        return self._modelled(kind) * _medians(self._factors, num_draws, rng)

    def spread(self) -> tuple[RoundCost, ...]:
        """Median and quartiles of each kind that was timed."""
        return tuple(
            RoundCost(
                num_model_steps=kind.num_model_steps,
                num_drafted=kind.num_drafted,
                num_rounds=len(found),
                median=float(np.median(found)),
                lower_quartile=float(np.quantile(found, 0.25)),
                upper_quartile=float(np.quantile(found, 0.75)),
            )
            for kind, found in self.timed.items()
        )

    def _is_measured(self, kind: RoundKind) -> bool:
        return len(self.timed.get(kind, ())) >= MIN_ROUNDS

    def _modelled(self, kind: RoundKind) -> float:
        return kind.num_model_steps * self.c + self.v[kind.num_drafted]


def _medians(values: FloatArray, num_draws: int, rng: np.random.Generator) -> FloatArray:
    medians: FloatArray = np.median(rng.choice(values, (num_draws, len(values))), axis=1)
    return medians
