"""What the pages of samples show: the list of one pair, and one item with all its answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.http import Http404
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.errors import EvaluationError
from pipeline.metrics.paired import TIE_TOLERANCE
from studio.accounts.access import ProjectRequest
from studio.comparisons.chosen import Comparison
from studio.comparisons.sample_pairs import OUTCOMES, SORTS, SamplePairs, sample_pairs
from studio.evaluations.formats import NONE, difference, measured
from studio.evaluations.measures import TASK_LABELS, Measure, item_measures
from studio.evaluations.one_result import chosen
from studio.evaluations.results import Evaluation
from studio.evaluations.row_pages import excerpt, html_lang, row_page
from studio.evaluations.sample_files import TASKS, SamplesFile, Task, load_scores, load_texts
from studio.evaluations.selection import page_url, query_with

DIFFS: dict[str, Promise] = {
    "baseline": gettext_lazy("against the baseline's answer"),
    "reference": gettext_lazy("against the reference"),
    "off": gettext_lazy("off"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PairView:
    """The pair on the page and the choices that order and filter it."""

    candidate: Evaluation
    task: Task
    tasks: Sequence[Task]
    measure: Measure
    measures: Sequence[Measure]
    outcome: str
    sort: str
    category: str
    pairs: SamplePairs
    files: tuple[SamplesFile, SamplesFile]

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
    files = comparison.baseline.samples, candidate.samples
    if files[0] is None or files[1] is None:
        raise EvaluationError(
            "eval.items_differ", _("The run's report names no samples; evaluate again.")
        )
    both = files[0], files[1]
    tasks = [task for task in TASKS if all(load_scores(file, task).item_ids for file in both)]
    if not tasks:
        raise EvaluationError(
            "eval.items_differ",
            _("The two share no task; compare evaluations of the same test sets."),
        )
    task = chosen(request.GET.get("task", ""), tasks)
    measures = item_measures(task)
    keys = {measure.key: measure for measure in measures}
    pairs = sample_pairs(both[0], both[1], task)
    category = request.GET.get("category", "")
    return PairView(
        candidate=candidate,
        task=task,
        tasks=tasks,
        measure=keys[chosen(request.GET.get("metric", ""), list(keys))],
        measures=measures,
        outcome=chosen(request.GET.get("outcome", ""), list(OUTCOMES)),
        sort=chosen(request.GET.get("sort", ""), list(SORTS)),
        category=category if category in pairs.categories else "",
        pairs=pairs,
        files=both,
    )


def samples_context(request: ProjectRequest, comparison: Comparison) -> dict[str, Any]:
    """The page of items that the request asks for.

    Raises:
        DataError, EvaluationError: of `pair_view`.
    """
    view = pair_view(request, comparison)
    page = row_page(view.item_ids, request)
    texts = [load_texts(file, view.task, page.item_ids) for file in view.files]
    counts = {key: int(keep.sum()) for key, keep in view.pairs.outcomes(view.measure).items()}
    cleared = {"after": "", "before": ""}
    slug = request.project.slug
    return {
        "view": view,
        "page": page,
        "rows": [
            _list_row(item_id, view, [found.get(item_id) for found in texts])
            | {
                "url": page_url(
                    "comparisons:sample", slug, query_with(request, item=item_id, **cleared)
                )
            }
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
        "letters": _pair_letters(comparison, view),
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


def sample_context(request: ProjectRequest, comparison: Comparison) -> dict[str, Any]:
    """One item, the answers of all evaluations, and its neighbours in the list's order.

    Raises:
        Http404: neither result of the pair has the item.
        DataError, EvaluationError: of `pair_view`.
    """
    view = pair_view(request, comparison)
    item_id = request.GET.get("item", "")
    if item_id not in view.pairs.item_ids:
        raise Http404("no such item in these results")
    ordered = list(view.item_ids)
    position = ordered.index(item_id) if item_id in ordered else None
    found = {
        one.id: load_texts(one.samples, view.task, [item_id]).get(item_id)
        for one in comparison.evaluations
        if one.samples is not None
    }
    known = next(text for text in found.values() if text is not None)
    diff = chosen(request.GET.get("diff", ""), list(DIFFS))
    if view.task != "text_overlap":
        diff = "off"
    slug = request.project.slug

    def neighbour(step: int) -> str:
        if position is None or not 0 <= position + step < len(ordered):
            return ""
        query = query_with(request, item=ordered[position + step])
        return page_url("comparisons:sample", slug, query)

    return {
        "view": view,
        "item_id": item_id,
        "item": known,
        "item_lang": html_lang(known["lang"]),
        "answers": [
            _answer(one, comparison, found.get(one.id), view, known, diff)
            for one in comparison.evaluations
        ],
        "outcome": _outcome(item_id, view, _pair_letters(comparison, view)),
        "diffs": [
            (label, query_with(request, diff=key), key == diff) for key, label in DIFFS.items()
        ],
        "position": None if position is None else position + 1,
        "total": len(ordered),
        "previous_url": neighbour(-1),
        "next_url": neighbour(1),
        "list_url": page_url("comparisons:samples", slug, query_with(request, item="", diff="")),
    }


def _list_row(
    item_id: str, view: PairView, texts: Sequence[dict[str, Any] | None]
) -> dict[str, Any]:
    known = next(text for text in texts if text is not None)
    a, b = texts
    scores = [None if text is None else text[view.measure.key] for text in texts]
    return {
        "item_id": item_id,
        "category": known["category"],
        "lang": html_lang(known["lang"]),
        "input": excerpt(known["input"]),
        "reference": excerpt(known["reference"]),
        "answer_a": None if a is None else excerpt(a["answer"]),
        "answer_b": None if b is None else excerpt(b["answer"]),
        "score_a": _score(view.measure, scores[0]),
        "score_b": _score(view.measure, scores[1]),
        "change": _change(item_id, view),
    }


def _change(item_id: str, view: PairView) -> dict[str, Any]:
    """Difference of one item with its symbol and word; B's view of it."""
    index = view.pairs.item_ids.index(item_id)
    gain = view.pairs.gain(view.measure)[index]
    if np.isnan(gain):
        return {"symbol": "?", "tone": "warning", "word": _("missing"), "text": NONE}
    text = difference(view.measure, float(gain))
    if abs(gain) <= TIE_TOLERANCE:
        return {"symbol": "=", "tone": "secondary", "word": _("tie"), "text": text}
    if gain > 0:
        return {
            "symbol": "\N{BLACK UP-POINTING TRIANGLE}",
            "tone": "success",
            "word": _("better"),
            "text": text,
        }
    return {
        "symbol": "\N{BLACK DOWN-POINTING TRIANGLE}",
        "tone": "danger",
        "word": _("worse"),
        "text": text,
    }


def _outcome(item_id: str, view: PairView, letters: tuple[str, str]) -> str:
    change = _change(item_id, view)
    return _("%(b)s against %(a)s by %(measure)s: %(word)s (%(text)s)") % {
        "a": letters[0],
        "b": letters[1],
        "measure": view.measure.label,
        "word": change["word"],
        "text": change["text"],
    }


def _answer(
    one: Evaluation,
    comparison: Comparison,
    text: dict[str, Any] | None,
    view: PairView,
    known: dict[str, Any],
    diff: str,
) -> dict[str, Any]:
    letter = comparison.letters[one.id]
    answer: dict[str, Any] = {"evaluation": one, "letter": letter, "text": text}
    if text is None:
        return answer
    answer["is_other_question"] = (text["input"], text["reference"]) != (
        known["input"],
        known["reference"],
    )
    answer["scores"] = [
        (measure.label, _score(measure, text[measure.key])) for measure in view.measures
    ]
    if diff == "reference":
        answer["diff_from"] = "reference"
    elif diff == "baseline" and one is not comparison.baseline:
        answer["diff_from"] = "answer-A"
    if view.task == "general_ability":
        answer["choices"] = [
            {
                "text": choice,
                "is_right": index == text["correct_choice"],
                "is_picked": index == text["predicted_choice"],
            }
            for index, choice in enumerate(text["choices"])
        ]
    return answer


def _score(measure: Measure, value: Any) -> str:
    return measured(measure, None if value is None else float(value))


def _pair_letters(comparison: Comparison, view: PairView) -> tuple[str, str]:
    return comparison.letters[comparison.baseline.id], comparison.letters[view.candidate.id]
