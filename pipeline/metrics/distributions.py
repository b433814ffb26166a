"""Quantiles of the t, beta and gamma distributions, from scipy's special functions.

`scipy.stats` has them too, and takes a second to import.
"""

import math

from scipy import special


def student_quantile(probability: float, degrees: float) -> float:
    """Returns the value that Student's t with `degrees` of freedom stays below with `probability`.

    Args:
        probability: between 0 and 1, both excluded.
        degrees: positive, not necessarily whole; infinity gives the normal distribution.
    """
    if math.isinf(degrees):
        return float(special.ndtri(probability))
    return float(special.stdtrit(degrees, probability))


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Returns the value that a Beta(a, b) stays below with `probability`; a and b are positive."""
    return float(special.betaincinv(a, b, probability))


def gamma_quantile(probability: float, shape: float) -> float:
    """Returns the value that a Gamma(shape) of scale 1 stays below with `probability`."""
    return float(special.gammaincinv(shape, probability))
