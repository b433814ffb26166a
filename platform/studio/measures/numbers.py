"""Numbers as people read them; the same digits in both languages."""

from django.utils.translation import gettext as _

from pipeline.contracts.estimates import Estimate
from pipeline.metrics.noninferiority import MIN_UNITS
from studio.measures.labels import ShownMeasure

NONE = "\N{EM DASH}"
ARROW = " \N{RIGHTWARDS ARROW} "
_MINUS = "\N{MINUS SIGN}"
# Rounding of sums, not a difference.
_ZERO = 1e-9
_UNIT_SIGN = {"percent": "%"}
_DIFFERENCE_SIGN = {"percent": " pp"}
_DIGITS = {"percent": 1, "points": 2, "tokens": 1, "bits_per_byte": 4}


def decimal(value: float | None, digits: int = 2) -> str:
    """`-0.12` with a real minus sign; more digits for what would look like zero and is not."""
    if value is None:
        return NONE
    return _fixed(value, digits).replace("-", _MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """`+2.10`; no sign on zero."""
    if value is None:
        return NONE
    text = _fixed(value, digits)
    if float(text) > 0:
        return f"+{text}"
    return text.replace("-", _MINUS)


def _fixed(value: float, digits: int) -> str:
    if abs(value) < _ZERO:
        value = 0.0
    # An interval beside zero must not read as one that reaches it.
    while value and not float(f"{value:.{digits}f}"):
        digits += 1
    return f"{value:.{digits}f}"


def count(number: int | None) -> str:
    """`12,345`; a dash for none at all."""
    return f"{number:,}" if number else NONE


def percent(share: float | None, digits: int = 1) -> str:
    """`12.5%` of a share."""
    return NONE if share is None else f"{decimal(100 * share, digits)}%"


def p_value(value: float) -> str:
    """`0.031`; never a zero."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def ratio(value: float | None) -> str:
    """`1.042` times."""
    return NONE if value is None else f"{value:.3f}\N{MULTIPLICATION SIGN}"


def interval(estimate: Estimate | None, *, scale: float = 1.0, digits: int = 2) -> str:
    """`[26.10, 30.90]`, with a mark where few units were drawn; empty where there is none."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    text = f"[{decimal(scale * estimate.low, digits)}, {decimal(scale * estimate.high, digits)}]"
    return f"{text} {few_units(estimate.num_units)}".strip()


def few_units(num_units: int) -> str:
    """The mark beside an interval that rests on few units: it may be too narrow."""
    return _("(few units: %(n)s)") % {"n": num_units} if num_units < MIN_UNITS else ""


def sample_size(estimate: Estimate | None) -> str:
    """`64 / 16`: items behind a figure, and the units that were drawn of them."""
    return NONE if estimate is None else f"{estimate.n:,} / {estimate.num_units:,}"


def ratio_estimate(estimate: Estimate | None, *, digits: int = 3) -> str:
    """A ratio with its interval."""
    value = None if estimate is None else estimate.value
    return f"{ratio(value)} {ratio_interval(estimate, digits=digits)}".strip()


def speedup(estimate: Estimate | None) -> str:
    """`1.20x [1.15, 1.25]`: a ratio of times, whose bounds mean what they say."""
    if estimate is None:
        return NONE
    return f"{decimal(estimate.value)}\N{MULTIPLICATION SIGN} {interval(estimate)}".strip()


def ratio_interval(estimate: Estimate | None, *, digits: int = 3) -> str:
    """The interval of a ratio, or why what is stored is none."""
    if is_one_sided(estimate):
        return _("(no interval: changes do not go both ways)")
    return interval(estimate, digits=digits)


def judged_interval(estimate: Estimate, *, is_open: bool) -> str:
    """The interval of a ratio that agrees with a word; `(1.000, 1.204]` where 1 is excluded."""
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return ""
    opens = "(" if is_open and low == 1.0 else "["
    closes = ")" if is_open and high == 1.0 else "]"
    text = f"{opens}{decimal(low, 3)}, {decimal(high, 3)}{closes}"
    return f"{text} {few_units(estimate.num_units)}".strip()


def is_one_sided(estimate: Estimate | None) -> bool:
    """Whether a bound of the ratio is exactly 1: items were only lost, only won, or none changed.

    Resampling them can only repeat that; the bound says nothing about other items.
    """
    return estimate is not None and 1.0 in (estimate.low, estimate.high)


def measured(measure: ShownMeasure, value: float | None) -> str:
    """A stored figure in the measure's unit."""
    if value is None:
        return NONE
    return decimal(measure.scale * value, _digits(measure)) + _UNIT_SIGN.get(measure.unit, "")


def measured_interval(measure: ShownMeasure, estimate: Estimate | None) -> str:
    """A stored interval in the measure's unit."""
    return interval(estimate, scale=measure.scale, digits=_digits(measure))


def difference(measure: ShownMeasure, value: float | None) -> str:
    """A stored difference in the measure's unit; shares differ by percentage points."""
    if value is None:
        return NONE
    return signed(measure.scale * value, _digits(measure)) + _DIFFERENCE_SIGN.get(measure.unit, "")


def measured_bounds(
    measure: ShownMeasure, low: float, high: float, *, is_open_at_zero: bool = False
) -> str:
    """An interval in the measure's unit; `(0.00, 2.10]` where the bound at 0 does not belong."""
    bounds = [decimal(measure.scale * bound, _digits(measure)) for bound in (low, high)]
    opens = "(" if is_open_at_zero and low == 0.0 else "["
    closes = ")" if is_open_at_zero and high == 0.0 else "]"
    return f"{opens}{bounds[0]}, {bounds[1]}{closes}"


def _digits(measure: ShownMeasure) -> int:
    return _DIGITS[measure.unit]
