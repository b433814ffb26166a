"""Quantiles of the t, beta and gamma distributions.

scipy has them, and the tests compare with it; the web process, which computes intervals too, does
without its 100 MB. Each distribution function is a convergent series or a continued fraction, each
quantile a root of it.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300
_MAX_TERMS = 100_000
# Above so many degrees of freedom, and above this shape, the first terms of an expansion are right
# to eight digits.
_MANY_DEGREES = 500.0
_LARGE_SHAPE = 1e5


@lru_cache(maxsize=4096)
def student_quantile(probability: float, degrees: float) -> float:
    """Returns the value that Student's t with `degrees` of freedom stays below with `probability`.

    Args:
        probability: between 0 and 1, both excluded.
        degrees: positive, not necessarily whole; infinity gives the normal distribution.
    """
    normal = _NORMAL.inv_cdf(max(probability, 1.0 - probability))
    start = _near_student(normal, degrees)
    if degrees > _MANY_DEGREES or normal == 0.0:
        return math.copysign(start, probability - 0.5)
    half = (degrees + 1.0) / 2.0
    log_scale = math.lgamma(half) - math.lgamma(degrees / 2.0) - math.log(degrees * math.pi) / 2.0
    tail = 2.0 * min(probability, 1.0 - probability)

    def density(t: float) -> float:
        return 2.0 * math.exp(log_scale - half * math.log1p(t * t / degrees))

    value = _root(
        lambda t: tail - _beta_cdf(degrees / (degrees + t * t), degrees / 2.0, 0.5),
        density,
        start=start,
        high=math.inf,
    )
    return math.copysign(value, probability - 0.5)


def _near_student(x: float, degrees: float) -> float:
    """Fisher's expansion of a t quantile around the normal one (Abramowitz and Stegun 26.7.5)."""
    terms = (
        x,
        (x**3 + x) / 4.0,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96.0,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384.0,
    )
    return sum(term / degrees**power for power, term in enumerate(terms))


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Returns the value that a Beta(a, b) stays below with `probability`; a and b are positive."""
    log_scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)

    def density(x: float) -> float:
        return math.exp(log_scale + (a - 1.0) * math.log(x) + (b - 1.0) * math.log1p(-x))

    mean = a / (a + b)
    error = math.sqrt(mean * (1.0 - mean) / (a + b + 1.0))
    start = mean + _NORMAL.inv_cdf(probability) * error
    return _root(
        lambda x: _beta_cdf(x, a, b) - probability,
        density,
        start=start if 0.0 < start < 1.0 else mean,
        high=1.0,
    )


def gamma_quantile(probability: float, shape: float) -> float:
    """Returns the value that a Gamma(shape) of scale 1 stays below with `probability`.

    Half a chi-square quantile of 2 * shape degrees of freedom; what bounds a Poisson count.
    """
    spread = 1.0 / (9.0 * shape)
    start = shape * (1.0 - spread + _NORMAL.inv_cdf(probability) * math.sqrt(spread)) ** 3
    if shape > _LARGE_SHAPE:
        return start
    log_scale = math.lgamma(shape)

    def density(x: float) -> float:
        return math.exp((shape - 1.0) * math.log(x) - x - log_scale)

    return _root(
        lambda x: _gamma_cdf(x, shape) - probability,
        density,
        start=start if start > 0.0 else shape / 2.0,
        high=math.inf,
    )


def _root(
    excess: Callable[[float], float], slope: Callable[[float], float], *, start: float, high: float
) -> float:
    """Where a function that rises from 0 to `high` is zero: Newton, halved where it leaves."""
    low, x = 0.0, start
    for _ in range(500):
        error = excess(x)
        low, high = (low, x) if error > 0.0 else (x, high)
        steepness = slope(x)
        found = x - error / steepness if steepness > 0.0 else high
        if not low < found < high:
            found = 2.0 * x if math.isinf(high) else (low + high) / 2.0
            if found in (low, high):
                return found
        elif abs(found - x) <= 1e-6 * x:  # Newton doubles the digits
            return found
        x = found
    return x


def _gamma_cdf(x: float, shape: float) -> float:
    """The regularised lower incomplete gamma function P(shape, x)."""
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1.0:
        term = total = 1.0 / shape
        for index in range(1, _MAX_TERMS):
            term *= x / (shape + index)
            total += term
            if term < total * 1e-16:
                break
        return front * total
    # Lentz's method for the continued fraction of the upper function.
    step = x + 1.0 - shape
    c, d = 1.0 / _TINY, 1.0 / step
    fraction = d
    for index in range(1, _MAX_TERMS):
        factor = index * (shape - index)
        step += 2.0
        d = 1.0 / (factor * d + step or _TINY)
        c = step + factor / c or _TINY
        fraction *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return 1.0 - front * fraction


def _beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast on the other side only
        return 1.0 - _beta_cdf(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0) or _TINY)
    fraction = d
    for index in range(1, _MAX_TERMS):
        even = index * (b - index) * x / ((a + 2 * index - 1.0) * (a + 2 * index))
        odd = -(a + index) * (a + b + index) * x / ((a + 2 * index) * (a + 2 * index + 1.0))
        for factor in (even, odd):
            d = 1.0 / (1.0 + factor * d or _TINY)
            c = 1.0 + factor / c or _TINY
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return front * fraction
