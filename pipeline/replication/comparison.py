"""Two arms on the same questions: within each seed, over the seeds, and what may be said of it.

A difference is always one of two checkpoints of the same seed. Over the seeds, a question is one
unit with its answers of all of them: the interval is about other questions, with the seeds as they
are. Three seeds are too few for an interval about other seeds; their least and largest difference
stand beside it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.contracts.estimates import Estimate, PairedFigure
from pipeline.contracts.evaluation_spec import EquivalenceMargins
from pipeline.contracts.samples import Measure, Task, measures_of
from pipeline.evaluation.overlap_comparison import columns_of
from pipeline.metrics.decisions import (
    Decision,
    Difference,
    agreeing_interval,
    decide,
    family_level,
)
from pipeline.metrics.paired import compare_paired, pair_by_id
from pipeline.metrics.paired_tests import paired_p_values
from pipeline.metrics.uncertainty import LEVEL, FloatArray
from pipeline.replication.parts import Contrast
from pipeline.replication.results import Compared, ContrastResults, Judgement

Row = Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pairs:
    """Items of one task that both checkpoints answered; of one seed, or of several one after
    another."""

    measures: tuple[Measure, ...]
    """Those that every row has a score of."""
    before: Mapping[str, FloatArray]
    """By column of `measures`, with what weighs them."""
    after: Mapping[str, FloatArray]
    units: tuple[str, ...]
    """What rises and falls together: a question's document, or the question; the same in every
    seed."""
    is_unseen: NDArray[np.bool_]
    """Whether the item's document was kept out of training."""
    num_missing: int

    @property
    def directed(self) -> tuple[Measure, ...]:
        """The measures that can be better or worse."""
        return tuple(measure for measure in self.measures if measure.direction != "neutral")

    def compared(self, level: float = LEVEL) -> dict[str, PairedFigure]:
        """Difference and ratio by measure."""
        return compare_paired(
            self.measures,
            self.before,
            self.after,
            clusters=self.units,
            num_missing=self.num_missing,
            level=level,
        )

    def unseen(self) -> "Pairs | None":
        """Only items on documents kept out of training; None where there are none."""
        keep = np.flatnonzero(self.is_unseen)
        if not len(keep):
            return None
        return Pairs(
            measures=self.measures,
            before={name: values[keep] for name, values in self.before.items()},
            after={name: values[keep] for name, values in self.after.items()},
            units=tuple(self.units[index] for index in keep),
            is_unseen=self.is_unseen[keep],
            num_missing=self.num_missing,
        )


SeedPairs = Mapping[int, Pairs]
"""By seed."""


def pair_rows(task: Task, baseline: Sequence[Row], candidate: Sequence[Row]) -> Pairs:
    """The items of two checkpoints of one seed.

    Args:
        task: of the rows.
        baseline: rows of `samples.parquet`.
        candidate: as `baseline`.

    Raises:
        EvaluationError: `eval.items_differ` when no item is on both sides.
    """
    sides = [{str(row["item_id"]): row for row in rows} for rows in (baseline, candidate)]
    shared, num_missing = pair_by_id(*sides)
    before, after = ([side[item_id] for item_id in shared] for side in sides)
    measures = tuple(
        measure
        for measure in measures_of(task, aggregated=True)
        if all(row.get(name) is not None for row in (*before, *after) for name in measure.columns)
    )
    return Pairs(
        measures=measures,
        before=columns_of(measures, before),
        after=columns_of(measures, after),
        units=tuple(
            str(row["cluster"] or f"item:{item_id}")
            for item_id, row in zip(shared, after, strict=True)
        ),
        is_unseen=np.array([row["document_seen"] is False for row in after]),
        num_missing=num_missing,
    )


def over_seeds(pairs: SeedPairs) -> Pairs:
    """The items of all seeds, those of the least seed first, with the measures that all have."""
    ordered = [pairs[seed] for seed in sorted(pairs)]
    measures = tuple(m for m in ordered[0].measures if all(m in one.measures for one in ordered))
    columns = [name for measure in measures for name in measure.columns]
    return Pairs(
        measures=measures,
        before={name: np.concatenate([one.before[name] for one in ordered]) for name in columns},
        after={name: np.concatenate([one.after[name] for one in ordered]) for name in columns},
        units=tuple(unit for one in ordered for unit in one.units),
        is_unseen=np.concatenate([one.is_unseen for one in ordered]),
        num_missing=sum(one.num_missing for one in ordered),
    )


def compare_family(
    contrasts: Mapping[Contrast, Sequence[SeedPairs]], margins: EquivalenceMargins
) -> tuple[ContrastResults, ...]:
    """Every measure of every contrast; those with a direction are judged together.

    Args:
        contrasts: for each, the pairs of each of its tasks.
        margins: differences that are none.
    """
    together = {key: [over_seeds(pairs) for pairs in tasks] for key, tasks in contrasts.items()}
    num_tests = sum(len(pairs.directed) for tasks in together.values() for pairs in tasks)
    level = family_level(max(num_tests, 1))
    tests: dict[tuple[Contrast, str], tuple[Difference, Estimate | None]] = {}
    for contrast, tasks in together.items():
        for pairs in tasks:
            for measure, difference, ratio in _tests(pairs, level, margins):
                tests[contrast, measure] = difference, ratio
    decisions = decide([difference for difference, _ratio in tests.values()])
    judgements = {
        key: _judgement(decision, difference.margin, ratio)
        for (key, (difference, ratio)), decision in zip(tests.items(), decisions, strict=True)
    }
    return tuple(
        ContrastResults(
            baseline=contrast[0],
            candidate=contrast[1],
            measures={
                measure: compared.model_copy(
                    update={"judgement": judgements.get((contrast, measure))}
                )
                for by_seed, pairs in zip(tasks, together[contrast], strict=True)
                for measure, compared in _compared(by_seed, pairs)
            },
        )
        for contrast, tasks in contrasts.items()
    )


def num_judged(results: Iterable[ContrastResults]) -> int:
    """Size of the family."""
    return sum(one.judgement is not None for result in results for one in result.measures.values())


def _tests(
    pairs: Pairs, level: float, margins: EquivalenceMargins
) -> Iterator[tuple[str, Difference, Estimate | None]]:
    """(measure, what is to be judged, the ratio at the family's level)."""
    figures = pairs.compared(level)
    p_values = paired_p_values(pairs.directed, pairs.before, pairs.after, clusters=pairs.units)
    for measure in pairs.directed:
        assert measure.direction != "neutral"  # noqa: S101 (`directed` leaves them out)
        difference = Difference(
            simultaneous=figures[measure.key].difference,
            p_value=p_values[measure.key],
            direction=measure.direction,
            margin=margins.of(measure.key),
            num_missing=pairs.num_missing,
        )
        yield measure.key, difference, figures[measure.key].ratio


def _compared(by_seed: SeedPairs, pairs: Pairs) -> Iterator[tuple[str, Compared]]:
    seeds = {seed: by_seed[seed].compared() for seed in sorted(by_seed)}
    means, unseen = pairs.compared(), pairs.unseen()
    apart = {} if unseen is None else unseen.compared()
    for measure in pairs.measures:
        yield (
            measure.key,
            Compared(
                by_seed={seed: figures[measure.key] for seed, figures in seeds.items()},
                mean=means[measure.key],
                unseen=apart.get(measure.key),
            ),
        )


def _judgement(decision: Decision, margin: float | None, ratio: Estimate | None) -> Judgement:
    if ratio is not None:
        bounds = agreeing_interval(ratio, null=1.0, is_real=decision.is_real)
        if bounds is not None:
            ratio = ratio.model_copy(update={"low": bounds[0], "high": bounds[1]})
    return Judgement(
        word=decision.word,
        doubt=decision.doubt,
        is_real=decision.is_real,
        adjusted_p=decision.adjusted_p,
        margin=margin,
        low=decision.low,
        high=decision.high,
        level=decision.level,
        ratio=ratio,
    )
