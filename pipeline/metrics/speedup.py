"""How much faster an arm decoded than plain decoding, from times of both."""

import numpy as np
from numpy.typing import ArrayLike

from pipeline.contracts.estimates import Estimate
from pipeline.errors import DataError, EvaluationError
from pipeline.metrics.uncertainty import LEVEL, FloatArray

NUM_RESAMPLES = 10_000

# Resamples whose medians are taken at once: 256 x 1,000 prompts x 5 repeats are 10 MB.
_CHUNK = 256


def speedup_interval(
    baseline_seconds: ArrayLike,
    candidate_seconds: ArrayLike,
    *,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """Returns the median paired speedup with a bootstrap interval over prompts.

    Definition: median over prompts and repeats of baseline / candidate time; prompts are drawn with
        replacement, each with all its repeats, since its repeats share its acceptance.
    Direction: higher is better; 1 is as fast as the baseline.
    Source: interleaved A/B repeats with a paired ratio, reference in `docs/metrics.md`.

    Args:
        baseline_seconds: decode time, shape [num_prompts, num_repeats]; repeat r of both arms ran
            next to each other. Where outputs differ in length give seconds per token.
        candidate_seconds: the same prompts and repeats.

    Raises:
        EvaluationError: `eval.items_differ`, the shapes differ or are not two-dimensional.
        DataError: `data.empty`; `data.row_invalid`, a time is not positive and finite.
    """
    baseline = np.asarray(baseline_seconds, dtype=np.float64)
    candidate = np.asarray(candidate_seconds, dtype=np.float64)
    if baseline.shape != candidate.shape or baseline.ndim != 2:
        raise EvaluationError(
            "eval.items_differ",
            f"times have shapes {baseline.shape} and {candidate.shape}; give one row for each"
            " prompt and one column for each repeat, the same for both arms",
        )
    if baseline.size == 0:
        raise DataError("data.empty", "no time was measured; run at least one prompt")
    both = np.stack([baseline, candidate])
    bad = ~(np.isfinite(both) & (both > 0))
    if bad.any():
        arm, prompt, repeat = (int(index) for index in np.argwhere(bad)[0])
        raise DataError(
            "data.row_invalid",
            f"{('baseline', 'candidate')[arm]} time of prompt {prompt}, repeat {repeat} is"
            f" {both[arm, prompt, repeat]} seconds; a dead engine has no time, leave the arm out",
        )
    ratio = baseline / candidate
    num_prompts = len(ratio)
    drawn: FloatArray | None = None
    if num_prompts > 1:
        rng = np.random.default_rng(seed)
        medians = []
        for start in range(0, num_resamples, _CHUNK):
            rows = min(_CHUNK, num_resamples - start)
            chosen = ratio[rng.integers(0, num_prompts, size=(rows, num_prompts))]
            medians.append(np.median(chosen.reshape(rows, -1), axis=1))
        drawn = np.concatenate(medians)
    low = high = None
    if drawn is not None:
        tail = (1.0 - level) / 2.0
        low = float(np.quantile(drawn, tail, method="lower"))
        high = float(np.quantile(drawn, 1.0 - tail, method="higher"))
    return Estimate(
        value=float(np.median(ratio)),
        low=low,
        high=high,
        level=None if drawn is None else level,
        n=num_prompts,
        num_units=num_prompts,
        resampled="prompt",
        method="percentile_bootstrap",
    )
