"""Everything that one page of a comparison judges, decided together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.contracts.samples import Task
from pipeline.metrics.decisions import Decision, Difference, decide, family_level
from studio.comparisons.chosen import Comparison
from studio.evaluations.results import Evaluation
from studio.evaluations.stored_figures import StoredPairs, family_figures
from studio.measures.judgements import difference_between
from studio.measures.labels import ShownMeasure, set_measures
from studio.measures.numbers import percent

Key = tuple[str, str]
"""Run id of the candidate, key of the measure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """The differences that are judged together; corrected for how many they are."""

    decisions: Mapping[Key, Decision] = field(default_factory=dict)
    """Empty until every interval is computed: a part of a family has no size."""
    margins: Mapping[Key, float | None] = field(default_factory=dict)
    num_tests: int = 0
    num_measures: int = 0
    num_candidates: int = 0
    pending: tuple[str, str] | None = None
    """Run ids of a pair whose intervals a page cannot wait for."""

    @property
    def level(self) -> str:
        """Of each interval, as people read it."""
        return percent(family_level(max(self.num_tests, 1)), 2)


def judge_together(comparison: Comparison, stored: StoredPairs, undecidable: set[Task]) -> Family:
    """The family of a page: every measure with a direction, of every candidate that is comparable.

    What belongs to it follows from what was measured, never from how it came out.
    """
    if any(one.is_pending for one in stored.values()):
        return Family()
    asked = [
        (one, measure)
        for one in comparison.candidates
        for measure in set_measures()
        if measure.direction != "neutral"
        and measure.task not in undecidable
        and (figures := stored[comparison.baseline.id, one.id].figures) is not None
        and figures.figure(measure.task, measure.key) is not None
    ]
    if not asked:
        return Family()
    candidates = list({one.id: one for one, _measure in asked}.values())
    found = family_figures([(comparison.baseline, one) for one in candidates], len(asked))
    margins = {
        (one.id, measure.key): margin_of(comparison.baseline, one, measure)
        for one, measure in asked
    }
    family: dict[Key, Difference] = {}
    for one, measure in asked:
        pair, key = (comparison.baseline.id, one.id), (one.id, measure.key)
        difference = difference_between(
            stored[pair].figures, found[pair].figures, measure, margin=margins[key]
        )
        if difference is not None:
            family[key] = difference
    pending = next((key for key, one in found.items() if one.is_pending), None)
    is_whole = len(family) == len(asked)
    return Family(
        decisions=_decided(family) if is_whole else {},
        margins=margins,
        num_tests=len(asked),
        num_measures=len({measure.key for _one, measure in asked}),
        num_candidates=len(candidates),
        pending=pending,
    )


def margin_of(baseline: Evaluation, one: Evaluation, measure: ShownMeasure) -> float | None:
    """The smaller of both evaluations' margins; None where either fixed none before it ran."""
    margins = [evaluation.spec.margins.of(measure.key) for evaluation in (baseline, one)]
    fixed = [margin for margin in margins if margin is not None]
    return min(fixed) if len(fixed) == len(margins) else None


def _decided(family: Mapping[Key, Difference]) -> dict[Key, Decision]:
    return dict(zip(family, decide(list(family.values())), strict=True))
