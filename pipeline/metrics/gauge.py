"""How far a model has moved from its base on text the base wrote, and whether that is too far.

The primary measure of retention: no question is asked, so nothing depends on what the base happens
to answer right, and every token carries evidence. A passage whose first tokens were the prompt is
the unit, with all texts that continue it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.contracts.estimates import FEW_UNITS, Estimate
from pipeline.contracts.gauge_results import GaugeReason, GaugeResults, GaugeScore, GaugeVerdict
from pipeline.contracts.verdicts import Verdict
from pipeline.errors import DataError
from pipeline.metrics.estimation import (
    NO_REACH,
    Extent,
    mean_estimate,
    positive_estimate,
    ratio_estimate,
)
from pipeline.metrics.uncertainty import (
    LEVEL,
    FloatArray,
    Jackknifed,
    jackknifed,
    unit_numbers,
    unit_sums,
)

_NO_GAP = 1e-9
_KL, _NATS, _BASE_NATS, _BYTES, _TOKENS = range(5)


def summarize_gauge(scores: Sequence[GaugeScore], *, margin: float | None) -> GaugeResults:
    """Returns the totals over all texts, and with a margin what they say of retention.

    Definition: sums over texts divided once, so that a long text counts for more than a short one.
    Direction: lower is better, for both figures.

    Raises:
        DataError: `data.empty`, no text was scored.
    """
    if not scores:
        raise DataError("data.empty", "no text to measure the gauge on; give prompts to continue")
    totals = _PerPassage.of(scores).sums.sum(axis=0)
    return GaugeResults(
        bits_per_byte=float(totals[_NATS] / totals[_BYTES] / math.log(2)),
        kl_nats_per_token=float(totals[_KL] / totals[_TOKENS]),
        num_texts=len(scores),
        num_tokens=int(totals[_TOKENS]),
        num_bytes=int(totals[_BYTES]),
        judged=None if margin is None else judge_gauge(scores, margin=margin),
    )


def judge_gauge(scores: Sequence[GaugeScore], *, margin: float) -> GaugeVerdict:
    """Returns the divergence per byte with its interval, and what it says against the margin.

    Definition: sum of KL(base || model) over all positions of all texts / their bytes, in bits;
        each passage left out once, Student's t on the logarithm, which is less skewed. PASS when
        the interval ends at or below the margin, FAIL when it starts above. A model whose every
        predicted distribution is the base's own has no interval and passes.
    Direction: lower is better; INCONCLUSIVE is never a PASS.
    Source: non-inferiority as in ICH E9, 2.5% on each side; Cochran 1977, chapter 6 (ratio of
        sums over clusters).

    Args:
        scores: one or more, of texts that the base wrote.
        margin: bits per byte, positive, fixed before the run.
    """
    table = _PerPassage.of(scores)
    model, base = table.bits_per_byte(_NATS), table.bits_per_byte(_BASE_NATS)
    divergence = _divergence(table)
    ratio = ratio_estimate(model, base, NO_REACH, table.extent)
    verdict, reason = _verdict(divergence, margin, is_identical=not table.sums[:, _KL].any())
    return GaugeVerdict(
        verdict=verdict,
        reason=reason,
        margin=margin,
        kl_bits_per_byte=table.named(divergence),
        base_bits_per_byte=base.value,
        bits_per_byte_ratio=None if ratio is None else table.named(ratio),
        passages_needed=_passages_needed(divergence, margin, reason),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _PerPassage:
    """Sums over the texts of each passage."""

    num_texts: int
    sums: FloatArray
    """Shape [passages, 5]: nats of divergence, of the model and of the base, bytes, tokens."""

    @classmethod
    def of(cls, scores: Sequence[GaugeScore]) -> "_PerPassage":
        # No figure may depend, in its last bit, on the order the texts were given in.
        ordered = sorted(scores, key=lambda one: (one.passage, one.id))
        columns = [
            (one.kl_nats, one.nats, one.base_nats, one.num_bytes, one.num_tokens) for one in ordered
        ]
        units = unit_numbers([one.passage for one in ordered], len(ordered))
        return cls(
            num_texts=len(ordered), sums=unit_sums(np.array(columns, dtype=np.float64), units)
        )

    @property
    def extent(self) -> Extent:
        return Extent(n=self.num_texts, num_units=len(self.sums), level=LEVEL)

    def bits_per_byte(self, column: int) -> Jackknifed:
        """The column's sum / bytes, in bits, with what each passage contributes."""
        return jackknifed(*self.with_each_left_out(column))

    def with_each_left_out(self, column: int) -> tuple[float, FloatArray]:
        """The column's sum / bytes, in bits, of all passages and without each one."""
        totals = self.sums.sum(axis=0)
        rest = totals - self.sums
        with np.errstate(invalid="ignore"):  # a single passage leaves nothing, and no interval
            left_out = rest[:, column] / rest[:, _BYTES] / math.log(2)
        return float(totals[column] / totals[_BYTES] / math.log(2)), left_out

    def named(self, estimate: Estimate) -> Estimate:
        """The estimate that says what was left out as a whole: texts, or prompts with theirs."""
        unit = "text" if len(self.sums) == self.num_texts else "prompt"
        return estimate.model_copy(update={"resampled": unit})


def _divergence(table: _PerPassage) -> Estimate:
    value, left_out = table.with_each_left_out(_KL)
    if value > 0.0 and bool((left_out > 0.0).all()):
        logarithm = jackknifed(math.log(value), np.log(left_out))
        return positive_estimate(value, logarithm, math.inf, table.extent)
    # Nothing moved, or so little that rounding decides the sign; or there is one passage.
    return mean_estimate(jackknifed(value, left_out), NO_REACH, (0.0, math.inf), table.extent)


def _verdict(
    divergence: Estimate, margin: float, *, is_identical: bool
) -> tuple[Verdict, GaugeReason]:
    if divergence.has_few_units:
        return Verdict.INCONCLUSIVE, GaugeReason.TOO_FEW_PASSAGES
    if is_identical:
        return Verdict.PASS, GaugeReason.IDENTICAL
    if divergence.interval is None:  # all passages diverge by exactly the same: nothing varies yet
        return Verdict.INCONCLUSIVE, GaugeReason.TOO_FEW_PASSAGES
    low, high, _level = divergence.interval
    if high <= margin:
        return Verdict.PASS, GaugeReason.INTERVAL
    if low > margin:
        return Verdict.FAIL, GaugeReason.INTERVAL
    return Verdict.INCONCLUSIVE, GaugeReason.INTERVAL_CROSSES_MARGIN


def _passages_needed(divergence: Estimate, margin: float, reason: GaugeReason) -> int | None:
    """Passages of this kind that would settle the verdict, were the divergence to stay.

    The width of an interval falls with the square root of the number of units.
    """
    if reason is GaugeReason.TOO_FEW_PASSAGES and divergence.has_few_units:
        return FEW_UNITS
    if reason is not GaugeReason.INTERVAL_CROSSES_MARGIN or divergence.interval is None:
        return None
    low, high, _level = divergence.interval
    gap = abs(divergence.value - margin)
    if gap <= _NO_GAP * margin:
        return None
    crossing = divergence.value - low if divergence.value > margin else high - divergence.value
    return max(math.ceil(divergence.num_units * (crossing / gap) ** 2), FEW_UNITS)
