"""The pair of results on a page of samples, and the choices that order and filter its items."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pipeline.contracts.samples import TASKS, Task
from pipeline.errors import EvaluationError
from studio.accounts.access import ProjectRequest
from studio.comparisons.chosen import Comparison
from studio.comparisons.sample_pairs import (
    OUTCOMES,
    SORTS,
    SamplePairs,
    sample_pairs,
    shared_item_measures,
)
from studio.evaluations.results import Evaluation
from studio.measures.labels import ShownMeasure
from studio.measures.sample_files import SamplesFile
from studio.measures.score_tables import load_scores
from studio.pages.addresses import chosen

Files = tuple[SamplesFile, SamplesFile]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairView:
    """The baseline and one candidate, as the address asks for them."""

    candidate: Evaluation
    letters: tuple[str, str]
    task: Task
    tasks: Sequence[Task]
    measure: ShownMeasure
    measures: Sequence[ShownMeasure]
    """Those that both results have."""
    outcome: str
    sort: str
    category: str
    pairs: SamplePairs
    files: Files

    @property
    def item_ids(self) -> Sequence[str]:
        return self.pairs.ordered(
            self.measure, outcome=self.outcome, sort=self.sort, category=self.category
        )


def pair_view(request: ProjectRequest, comparison: Comparison) -> PairView:
    """The pair and choices of the request's query; an unknown choice falls back to the usual one.

    Raises:
        DataError: of `load_scores`.
        EvaluationError: `eval.items_differ`, the two share no task, or a report names no rows.
    """
    by_id = {one.id: one for one in comparison.candidates}
    candidate = by_id[chosen(request.GET.get("with", ""), list(by_id))]
    files = _files(comparison.baseline, candidate)
    shared = {task: found for task in TASKS if (found := _shared_measures(files, task))}
    if not shared:
        raise EvaluationError(
            "eval.items_differ",
            _("The two share no task; compare evaluations of the same test sets."),
        )
    task = chosen(request.GET.get("task", ""), list(shared))
    measures = {measure.key: measure for measure in shared[task]}
    pairs = sample_pairs(*files, task)
    category = request.GET.get("category", "")
    return PairView(
        candidate=candidate,
        letters=(comparison.letters[comparison.baseline.id], comparison.letters[candidate.id]),
        task=task,
        tasks=list(shared),
        measure=measures[chosen(request.GET.get("metric", ""), list(measures))],
        measures=shared[task],
        outcome=chosen(request.GET.get("outcome", ""), list(OUTCOMES)),
        sort=chosen(request.GET.get("sort", ""), list(SORTS)),
        category=category if category in pairs.categories else "",
        pairs=pairs,
        files=files,
    )


def _files(baseline: Evaluation, candidate: Evaluation) -> Files:
    before, after = baseline.samples, candidate.samples
    if before is None or after is None:
        raise EvaluationError(
            "eval.items_differ", _("The run's report names no samples; evaluate again.")
        )
    return before, after


def _shared_measures(files: Files, task: Task) -> list[ShownMeasure]:
    """None when one of the two did not run the task."""
    tables = [load_scores(file, task) for file in files]
    if not all(table.item_ids for table in tables):
        return []
    return shared_item_measures(task, *tables)
