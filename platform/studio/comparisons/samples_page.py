"""The page of the items of one pair."""

from collections.abc import Sequence
from dataclasses import dataclass

from studio.accounts.access import ProjectRequest
from studio.comparisons.changes import Change, change_of
from studio.comparisons.chosen import Comparison
from studio.comparisons.pair_view import PairView, pair_view
from studio.comparisons.sample_pairs import OUTCOMES, SORTS
from studio.measures.labels import TASK_LABELS
from studio.measures.numbers import measured
from studio.measures.row_pages import excerpt, html_lang, row_page
from studio.measures.sample_texts import Sample, load_samples
from studio.pages.addresses import page_url, query_with


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRow:
    """One item: the beginnings of its texts, and both scores."""

    item_id: str
    url: str
    category: str
    lang: str
    """As HTML has it."""
    input: str
    reference: str
    answer_a: str | None
    """None where the baseline has no such item."""
    answer_b: str | None
    score_a: str
    score_b: str
    change: Change


def samples_context(request: ProjectRequest, comparison: Comparison) -> dict[str, object]:
    """The page of items that the request asks for.

    Raises:
        DataError, EvaluationError: of `pair_view`.
    """
    view = pair_view(request, comparison)
    page = row_page(view.item_ids, request)
    samples = [load_samples(file, view.task, page.item_ids) for file in view.files]
    counts = {key: int(keep.sum()) for key, keep in view.pairs.outcomes(view.measure).items()}
    cleared = {"after": "", "before": ""}

    def url(item_id: str) -> str:
        query = query_with(request, item=item_id, **cleared)
        return page_url("comparisons:sample", request.project.slug, query)

    return {
        "view": view,
        "page": page,
        "rows": [
            _row(item_id, url(item_id), view, [found.get(item_id) for found in samples])
            for item_id in page.item_ids
        ],
        "chips": [
            (
                label,
                counts[key],
                query_with(request, outcome="" if key == "all" else key, **cleared),
                key == view.outcome,
            )
            for key, label in OUTCOMES.items()
        ],
        "letters": view.letters,
        "task_labels": TASK_LABELS,
        "categories": sorted(set(view.pairs.categories) - {""}),
        "sorts": SORTS.items(),
        "num_all": counts["all"],
        "clear_query": query_with(request, outcome="", category="", **cleared),
        "candidate_choices": [
            (one.label, query_with(request, **{"with": one.id}, **cleared), one is view.candidate)
            for one in comparison.candidates
        ],
    }


def _row(item_id: str, url: str, view: PairView, both: Sequence[Sample | None]) -> PairRow:
    a, b = both
    known = next(sample for sample in both if sample is not None)
    score_a, score_b = (
        measured(view.measure, None if sample is None else sample.score(view.measure))
        for sample in both
    )
    return PairRow(
        item_id=item_id,
        url=url,
        category=known.category,
        lang=html_lang(known.lang),
        input=excerpt(known.input),
        reference=excerpt(known.reference),
        answer_a=None if a is None else excerpt(a.answer),
        answer_b=None if b is None else excerpt(b.answer),
        score_a=score_a,
        score_b=score_b,
        change=change_of(item_id, view),
    )
