"""Are numbers spread evenly over [0, 1)?"""

import numpy as np
from scipy import special

from pipeline.metrics.uncertainty import FloatArray


def chi_square_of_uniform(values: FloatArray, num_cells: int) -> tuple[float, float]:
    """Returns Pearson's chi-square over equal cells and its p value.

    The p value is that of the chi-square distribution with `num_cells - 1` degrees of freedom,
    which holds where every cell expects five values or more.

    Args:
        values: `[N]`, each in [0, 1).
        num_cells: two or more, at most N / 5.

    Raises:
        ValueError: fewer than five values are expected in a cell, or one lies outside [0, 1).

    Source: Pearson 1900; equals `scipy.stats.chisquare` of the counts.
    """
    expected = values.size / num_cells
    if num_cells < 2 or expected < 5:
        raise ValueError(f"{num_cells} cells cannot be judged by {values.size} values")
    if not ((values >= 0) & (values < 1)).all():
        raise ValueError("a value lies outside [0, 1)")
    counts = np.bincount((values * num_cells).astype(np.int64), minlength=num_cells)
    statistic = float(((counts - expected) ** 2).sum() / expected)
    return statistic, float(special.chdtrc(num_cells - 1, statistic))
