"""Bootstrapped figures from the cache; small ones are computed on the way, large ones on request.

A page never waits for seconds of resampling: what would take long is `is_pending`, and the page
carries a fragment that asks `views.prepare` for it, one at a time, and loads again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from pipeline.errors import DataError
from studio.evaluations.models import Documents, PairComparison, ResultSummary
from studio.evaluations.resampling import VERSION, compare_results, num_items, summarize_result
from studio.evaluations.results import Evaluation
from studio.evaluations.sample_files import SamplesFile

MAX_INLINE_ITEMS = 3_000
"""About a third of a second of resampling on one core, for each result or pair."""

PairKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFigures:
    """Figures, or why there are none."""

    figures: Mapping[str, Any] | None = None
    is_pending: bool = False
    problem: str = ""

    def figure(self, *keys: str) -> Any:
        """The value under the keys; None where there is none."""
        value: Any = self.figures
        for key in keys:
            if value is None:
                return None
            value = value.get(key)
        return value


def _no_rows() -> StoredFigures:
    return StoredFigures(problem=_("The run's report names no samples; evaluate again."))


def summaries(
    evaluations: Sequence[Evaluation], *, max_items: int | None = None
) -> dict[str, StoredFigures]:
    """Intervals of each evaluation's own figures, by run id; one query unless some are new."""
    files = {one.id: one.samples for one in evaluations}
    digests = {file.digest for file in files.values() if file is not None}
    known = {
        row.samples_digest: row.figures
        for row in ResultSummary.objects.filter(samples_digest__in=digests, version=VERSION)
    }
    found = {}
    for run_id, file in files.items():
        if file is None:
            found[run_id] = _no_rows()
        elif file.digest in known:
            found[run_id] = StoredFigures(figures=known[file.digest])
        else:
            found[run_id] = _computed(
                [file],
                max_items,
                lambda file=file: _store_summary(file),  # type: ignore[misc]
            )
    return found


def pair_figures(
    pairs: Sequence[tuple[Evaluation, Evaluation]],
    documents: Documents = Documents.ALL,
    *,
    max_items: int | None = None,
) -> dict[PairKey, StoredFigures]:
    """Comparisons of (baseline, candidate), by their run ids; one query unless some are new."""
    files = {(base.id, new.id): (base.samples, new.samples) for base, new in pairs}
    digests = {file.digest for both in files.values() for file in both if file is not None}
    known = {
        (row.baseline_digest, row.candidate_digest): row.figures
        for row in PairComparison.objects.filter(
            baseline_digest__in=digests,
            candidate_digest__in=digests,
            documents=documents,
            version=VERSION,
        )
    }
    found = {}
    for key, (base, new) in files.items():
        if base is None or new is None:
            found[key] = _no_rows()
        elif (base.digest, new.digest) in known:
            found[key] = StoredFigures(figures=known[base.digest, new.digest])
        else:
            found[key] = _computed(
                [base, new],
                max_items,
                lambda base=base, new=new: _store_pair(base, new, documents),  # type: ignore[misc]
            )
    return found


def _computed(
    files: Sequence[SamplesFile], max_items: int | None, compute: Callable[[], Mapping[str, Any]]
) -> StoredFigures:
    try:
        if max(num_items(file) for file in files) > (max_items or MAX_INLINE_ITEMS):
            return StoredFigures(is_pending=True)
        return StoredFigures(figures=compute())
    except DataError as exc:
        return StoredFigures(problem=str(exc))


def _store_summary(file: SamplesFile) -> Mapping[str, Any]:
    figures = summarize_result(file)
    row = ResultSummary(samples_digest=file.digest, version=VERSION, figures=figures)
    # Another request may have been faster; both computed the same.
    ResultSummary.objects.bulk_create([row], ignore_conflicts=True)
    return figures


def _store_pair(base: SamplesFile, new: SamplesFile, documents: Documents) -> Mapping[str, Any]:
    figures = compare_results(base, new, documents)
    row = PairComparison(
        baseline_digest=base.digest,
        candidate_digest=new.digest,
        documents=documents,
        version=VERSION,
        figures=figures,
    )
    PairComparison.objects.bulk_create([row], ignore_conflicts=True)
    return figures
