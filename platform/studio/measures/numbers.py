"""Numbers as people read them; the same text in both languages."""

from pipeline.contracts.estimates import Estimate
from studio.measures.labels import ShownMeasure

NONE = "\N{EM DASH}"
ARROW = " \N{RIGHTWARDS ARROW} "
_MINUS = "\N{MINUS SIGN}"
# Rounding of sums, not a difference.
_ZERO = 1e-9
_UNIT_SIGN = {"percent": "%", "points": "", "tokens": ""}
_DIFFERENCE_SIGN = {"percent": " pp", "points": "", "tokens": ""}


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
    """`[26.10, 30.90]`; empty where there is no interval."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return f"[{decimal(scale * estimate.low, digits)}, {decimal(scale * estimate.high, digits)}]"


def ratio_estimate(estimate: Estimate | None, *, digits: int = 3) -> str:
    """A ratio with its interval."""
    value = None if estimate is None else estimate.value
    return f"{ratio(value)} {interval(estimate, digits=digits)}".strip()


def measured(measure: ShownMeasure, value: float | None) -> str:
    """A stored figure in the measure's unit."""
    if value is None:
        return NONE
    return decimal(measure.scale * value, _digits(measure)) + _UNIT_SIGN[measure.unit]


def measured_interval(measure: ShownMeasure, estimate: Estimate | None) -> str:
    """A stored interval in the measure's unit."""
    return interval(estimate, scale=measure.scale, digits=_digits(measure))


def difference(measure: ShownMeasure, value: float | None) -> str:
    """A stored difference in the measure's unit; shares differ by percentage points."""
    if value is None:
        return NONE
    return signed(measure.scale * value, _digits(measure)) + _DIFFERENCE_SIGN[measure.unit]


def _digits(measure: ShownMeasure) -> int:
    return 1 if measure.unit in ("percent", "tokens") else 2
