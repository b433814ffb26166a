"""How often intervals that say 95% hold the truth, and how wide they are.

Scores whose distribution is known are drawn 4,000 times for each row, measured by the product's own
functions, and compared with the figure of 200,000 units. A draw without an interval counts as a
miss. Beside it the percentile bootstrap (200 draws, 250 simulations), which the product used
before: too narrow below some hundred units. "Units" are items, or clusters where the row says so.
"""

import argparse
import functools
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bench.planted.records import Records, Row
from bench.planted.score_cases import (
    Draw,
    Scores,
    bleu_counts,
    clustered_flips,
    clustered_scores,
    divergences,
    flips,
    mostly_zero,
    noisy,
    skewed,
    sparse_gains,
    unlike,
    weighted,
)
from bench.protocol import Result, Table
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.gauge_results import GaugeScore
from pipeline.contracts.samples import Measure, measures_of
from pipeline.metrics.corpus_bleu import corpus_bleu_from_statistics
from pipeline.metrics.gauge import judge_gauge
from pipeline.metrics.paired import compare_paired, summarize_items
from pipeline.metrics.uncertainty import FloatArray, cluster_sums

Figure = Literal["level", "difference", "ratio", "per byte"]
EXACT_BAND = (0.94, 0.96)
"""Continuous scores and corpus BLEU."""
AT_LEAST = (0.94, 1.0)
"""Where hardly anything changes, or few clusters are known, an interval may be too wide."""

_NUM_TRUTH_UNITS = 200_000
_NUM_RIVAL_DRAWS = 200
_SCORE = next(measure for measure in measures_of("general_ability") if measure.key == "probability")
_BITS = next(measure for measure in measures_of("text_overlap") if measure.weight is not None)
_BLEU = next(measure for measure in measures_of("text_overlap") if measure.key == "bleu4")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A figure of a known distribution."""

    name: str
    figure: Figure
    draw: Draw
    num_units: int
    band: tuple[float, float]
    measure: Measure = _SCORE


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """What was found of a case."""

    covered: float
    """Share of simulations whose interval held the truth."""
    width: float
    """Mean width of the intervals that there were."""
    num_without: int
    """Simulations without an interval."""


def cases() -> list[Case]:
    """Every row of the table."""
    found = []
    for num_units in (30, 100):
        found += [
            Case(name=name, figure=figure, draw=draw, num_units=num_units, band=EXACT_BAND)
            for name, draw in (("continuous", noisy), ("skewed", skewed), ("unlike", unlike))
            for figure in _FIGURES
        ]
        found += [
            Case(name=f"corpus BLEU of about {about}", figure=figure, num_units=num_units,
                 draw=bleu_counts(*parameters), band=EXACT_BAND, measure=_BLEU)
            for about, parameters in ((8, (2, 5)), (30, (4, 3)))
            for figure in _FIGURES
        ]  # fmt: skip
    rare: tuple[tuple[str, Draw, Figure], ...] = (
        ("one in five gains", sparse_gains(0.2), "difference"),
        ("one in twenty gains", sparse_gains(0.05), "difference"),
        ("four in five are zero", mostly_zero(0.2), "level"),
        ("four in five are zero", mostly_zero(0.2), "difference"),
        ("flips: 6% lost, 3% won", flips(0.06, 0.03), "difference"),
        ("flips: 6% lost, 3% won", flips(0.06, 0.03), "ratio"),
        ("flips: 2% lost", flips(0.02, 0.0), "difference"),
        ("share of 60%", flips(0.0, 0.0), "level"),
        ("share of 97%", flips(0.0, 0.0, 0.97), "level"),
    )
    found += [
        Case(name=name, figure=figure, draw=draw, num_units=num_units, band=AT_LEAST)
        for num_units in (30, 200)
        for name, draw, figure in rare
    ]
    clustered: tuple[tuple[str, Draw, Figure], ...] = (
        ("clusters of 2 to 12, continuous", clustered_scores, "difference"),
        ("clusters of 5 to 34, flips", clustered_flips, "level"),
        ("clusters of 5 to 34, flips", clustered_flips, "difference"),
        ("clusters of 5 to 34, flips", clustered_flips, "ratio"),
    )
    found += [
        Case(name=name, figure=figure, draw=draw, num_units=num_units, band=AT_LEAST)
        for num_units in (30, 60)
        for name, draw, figure in clustered
    ]
    found += [
        Case(name="weighted by bytes", figure=figure, draw=weighted, num_units=num_units,
             band=EXACT_BAND, measure=_BITS)
        for num_units in (30, 100)
        for figure in _FIGURES
    ]  # fmt: skip
    found += [
        Case(name=f"divergence, {number} {texts} a passage", figure="per byte",
             draw=divergences(number), num_units=num_units, band=AT_LEAST)
        for num_units in (30, 40, 100)
        for number, texts in ((1, "text"), (3, "texts"))
    ]  # fmt: skip
    return found


_FIGURES: tuple[Figure, ...] = ("level", "difference", "ratio")


def coverage(case: Case, *, repeats: int, seed: int) -> Coverage:
    """How often the product's interval holds the truth."""
    truth, rng = _truth(case), np.random.default_rng(seed)
    found = [_estimate(case, case.draw(rng, case.num_units)) for _ in range(repeats)]
    intervals = [one.interval for one in found if one is not None]
    known = [(low, high) for low, high, _level in filter(None, intervals)]
    return Coverage(
        covered=sum(bool(low <= truth <= high) for low, high in known) / repeats,
        width=float(np.mean([high - low for low, high in known])),
        num_without=repeats - len(known),
    )


def rival_coverage(case: Case, *, repeats: int, seed: int) -> Coverage:
    """The same of the percentile bootstrap of whole units."""
    truth, rng = _truth(case), np.random.default_rng(seed)
    known = []
    for _ in range(repeats):
        scores = case.draw(rng, case.num_units)
        units = cluster_sums(_columns(case, scores), _names(scores))
        draws = rng.integers(0, len(units), (_NUM_RIVAL_DRAWS, len(units)))
        counts = np.stack([np.bincount(draw, minlength=len(units)) for draw in draws])
        with np.errstate(divide="ignore", invalid="ignore"):
            figures = _figure(case, counts @ units)
        known.append(np.nanquantile(figures, [0.025, 0.975]))
    covered = sum(bool(low <= truth <= high) for low, high in known) / repeats
    return Coverage(
        covered=covered, width=float(np.mean([high - low for low, high in known])), num_without=0
    )


def _estimate(case: Case, scores: Scores) -> Estimate | None:
    if case.figure == "per byte":
        return judge_gauge(_gauge_scores(scores), margin=1.0).kl_bits_per_byte
    sides: list[dict[str, ArrayLike]] = [
        {case.measure.column: side} for side in (scores.before, scores.after)
    ]
    if case.measure.weight is not None and scores.weights is not None:
        for side in sides:
            side[case.measure.weight] = scores.weights
    if case.figure == "level":
        found = summarize_items([case.measure], sides[0], clusters=_names(scores))
        return found[case.measure.key]
    pair = compare_paired([case.measure], *sides, clusters=_names(scores))[case.measure.key]
    return pair.difference if case.figure == "difference" else pair.ratio


def _gauge_scores(scores: Scores) -> list[GaugeScore]:
    """The texts of a draw; how likely they are under either model does not matter here."""
    return [
        GaugeScore(
            id=str(number),
            passage=passage,
            num_tokens=1,
            num_bytes=int(num_bytes),
            nats=1.0,
            base_nats=1.0,
            kl_nats=math.log(2) * float(bits),
        )
        for number, (passage, bits, num_bytes) in enumerate(
            zip(_names(scores) or (), scores.before, scores.after, strict=True)
        )
    ]


def _truth(case: Case) -> float:
    scores = case.draw(np.random.default_rng(2**31), _NUM_TRUTH_UNITS)
    return float(_figure(case, _columns(case, scores).sum(axis=0)))


def _names(scores: Scores) -> list[str] | None:
    return None if scores.clusters is None else [str(number) for number in scores.clusters]


def _columns(case: Case, scores: Scores) -> FloatArray:
    """What is summed: of means both scores by weight and the weight, of BLEU both's counts."""
    columns = np.column_stack([scores.before, scores.after])
    if case.measure is _BLEU or case.figure == "per byte":
        return columns
    weights = np.ones(len(columns)) if scores.weights is None else scores.weights
    return np.column_stack([columns * weights[:, None], weights])


def _figure(case: Case, sums: FloatArray) -> FloatArray:
    """The case's figure of each row of sums."""
    if case.figure == "per byte":
        return sums[..., 0] / sums[..., 1]
    if case.measure is _BLEU:
        before, after = (corpus_bleu_from_statistics(sums[..., half]) for half in _HALVES)
    else:
        before, after = (sums[..., side] / sums[..., 2] for side in (0, 1))
    if case.figure == "level":
        return before
    return after - before if case.figure == "difference" else after / before


_HALVES = (slice(0, 10), slice(10, 20))


def run(arguments: Sequence[str]) -> Result:
    """The coverage of every case."""
    parser = argparse.ArgumentParser(prog="python -m bench coverage")
    parser.add_argument("--share", type=float, default=1.0, help="of the simulations of each case")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    repeats = max(1, round(4_000 * options.share))
    records = Records("coverage")
    rows, failures, coverages, seconds = [], [], [], 0.0
    for number, case in enumerate(cases()):
        title, seed = [case.name, case.figure, case.num_units], options.seed + number
        key = f"{title} {repeats} {seed}"
        row = records.row(key, functools.partial(_row, case, repeats, seed))
        covered, width, rival, rival_width = (float(str(row[name])) for name in _SHOWN)
        rows.append([*title, covered, width, rival, rival_width, row["num_without"]])
        coverages.append((covered, rival))
        seconds += float(str(row["seconds"]))
        low, high = case.band
        if not low <= round(covered, 3) <= high:
            failures.append(f"{title}: {covered}")
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    columns = ["scores", "figure", "units", "covered", "mean width", "percentile bootstrap covered",
               "its mean width", "without interval"]  # fmt: skip
    return Result(
        table=Table(columns=columns, rows=rows),
        figures={
            "min_covered": min(ours for ours, _ in coverages),
            "min_covered_by_percentile_bootstrap": min(rival for _, rival in coverages),
            "seconds": seconds,
        },
        failures=failures,
    )


_SHOWN = ("covered", "width", "rival_covered", "rival_width")


def _row(case: Case, repeats: int, seed: int) -> Row:
    started = time.perf_counter()
    ours = coverage(case, repeats=repeats, seed=seed)
    rival = rival_coverage(case, repeats=max(1, repeats // 16), seed=seed)
    return {
        "covered": ours.covered,
        "width": ours.width,
        "num_without": ours.num_without,
        "rival_covered": rival.covered,
        "rival_width": rival.width,
        "seconds": time.perf_counter() - started,
    }
