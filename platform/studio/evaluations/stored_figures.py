"""Figures from the cache; small ones are computed on the way, large ones on request.

A page never waits for seconds of computing: what would take long is `is_pending`, and the page
carries a fragment that asks `views.prepare` for it, one at a time, and loads again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from django.utils.translation import gettext as _

from pipeline.contracts.base import Contract
from pipeline.errors import DataError
from studio.evaluations.models import (
    ComparedPair,
    FamilyComparison,
    PairComparison,
    ResultSummary,
)
from studio.evaluations.results import Evaluation
from studio.measures.documents import Documents
from studio.measures.resampling import (
    VERSION,
    FamilyFigures,
    PairFigures,
    ResultFigures,
    compare_in_family,
    compare_results,
    num_items,
    summarize_result,
)
from studio.measures.sample_files import SamplesFile

MAX_INLINE_ITEMS = 3_000
"""About a third of a second on one core, for each result or pair."""

FiguresT = TypeVar("FiguresT")
PairFiguresT = TypeVar("PairFiguresT", bound=Contract)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored(Generic[FiguresT]):
    """Figures, or why there are none."""

    figures: FiguresT | None = None
    is_pending: bool = False
    problem: str = ""


PairKey = tuple[str, str]
StoredPairs = Mapping[PairKey, Stored[PairFigures]]
"""By run ids of baseline and candidate."""
StoredFamily = Mapping[PairKey, Stored[FamilyFigures]]
StoredSummaries = Mapping[str, Stored[ResultFigures]]
"""By run id."""


def summaries(
    evaluations: Sequence[Evaluation], *, max_items: int | None = None
) -> StoredSummaries:
    """Intervals of each evaluation's own figures; one query unless some are new."""
    files = {one.id: one.samples for one in evaluations}
    digests = {file.digest for file in files.values() if file is not None}
    known = {
        row.samples_digest: ResultFigures.parse(json.dumps(row.figures))
        for row in ResultSummary.objects.filter(samples_digest__in=digests, version=VERSION)
    }
    found: dict[str, Stored[ResultFigures]] = {}
    for run_id, file in files.items():
        if file is None:
            found[run_id] = Stored(problem=_no_rows())
        elif file.digest in known:
            found[run_id] = Stored(figures=known[file.digest])
        else:
            found[run_id] = _computed([file], max_items, partial(_store_summary, file))
    return found


def pair_figures(
    pairs: Sequence[tuple[Evaluation, Evaluation]],
    documents: Documents = Documents.ALL,
    *,
    max_items: int | None = None,
) -> StoredPairs:
    """Comparisons of (baseline, candidate); one query unless some are new."""
    return _stored_pairs(
        pairs,
        PairComparison,
        PairFigures,
        lambda base, new: compare_results(base, new, documents),
        max_items=max_items,
        documents=documents,
    )


def family_figures(
    pairs: Sequence[tuple[Evaluation, Evaluation]],
    num_tests: int,
    documents: Documents = Documents.ALL,
    *,
    max_items: int | None = None,
) -> StoredFamily:
    """The same with intervals that hold together in a family of `num_tests`; one query."""
    return _stored_pairs(
        pairs,
        FamilyComparison,
        FamilyFigures,
        lambda base, new: compare_in_family(base, new, documents, num_tests),
        max_items=max_items,
        documents=documents,
        num_tests=num_tests,
    )


Files = tuple[SamplesFile | None, SamplesFile | None]


def _stored_pairs(
    pairs: Sequence[tuple[Evaluation, Evaluation]],
    table: type[ComparedPair],
    kind: type[PairFiguresT],
    compare: Callable[[SamplesFile, SamplesFile], PairFiguresT],
    *,
    max_items: int | None,
    **columns: Documents | int,
) -> dict[PairKey, Stored[PairFiguresT]]:
    """By run ids; what `table` has with these columns, and what is computed and kept there."""
    by_key: dict[PairKey, Files] = {
        (base.id, new.id): (base.samples, new.samples) for base, new in pairs
    }
    digests = {file.digest for files in by_key.values() for file in files if file is not None}
    rows = table._default_manager.filter(
        baseline_digest__in=digests, candidate_digest__in=digests, version=VERSION, **columns
    )
    known = {
        (row.baseline_digest, row.candidate_digest): kind.parse(json.dumps(row.figures))
        for row in rows
    }

    def compute(base: SamplesFile, new: SamplesFile) -> PairFiguresT:
        figures = compare(base, new)
        row = table(
            baseline_digest=base.digest,
            candidate_digest=new.digest,
            version=VERSION,
            figures=figures.model_dump(mode="json"),
            **columns,
        )
        # Another request may have been faster; both computed the same.
        table._default_manager.bulk_create([row], ignore_conflicts=True)
        return figures

    return {
        key: _known_or_computed(files, known, max_items, compute) for key, files in by_key.items()
    }


def _known_or_computed(
    files: Files,
    known: Mapping[PairKey, FiguresT],
    max_items: int | None,
    compute: Callable[[SamplesFile, SamplesFile], FiguresT],
) -> Stored[FiguresT]:
    base, new = files
    if base is None or new is None:
        return Stored(problem=_no_rows())
    if (base.digest, new.digest) in known:
        return Stored(figures=known[base.digest, new.digest])
    return _computed([base, new], max_items, lambda: compute(base, new))


def _no_rows() -> str:
    return _("The run's report names no samples; evaluate again.")


def _computed(
    files: Sequence[SamplesFile], max_items: int | None, compute: Callable[[], FiguresT]
) -> Stored[FiguresT]:
    try:
        if max(num_items(file) for file in files) > (max_items or MAX_INLINE_ITEMS):
            return Stored(is_pending=True)
        return Stored(figures=compute())
    except DataError as exc:
        return Stored(problem=str(exc))


def _store_summary(file: SamplesFile) -> ResultFigures:
    figures = summarize_result(file)
    row = ResultSummary(
        samples_digest=file.digest, version=VERSION, figures=figures.model_dump(mode="json")
    )
    # Another request may have been faster; both computed the same.
    ResultSummary.objects.bulk_create([row], ignore_conflicts=True)
    return figures
