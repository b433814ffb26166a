"""The page of one item with the answers of all results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.http import Http404
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from studio.accounts.access import ProjectRequest
from studio.comparisons.changes import change_of
from studio.comparisons.chosen import Comparison
from studio.comparisons.pair_view import PairView, pair_view
from studio.evaluations.results import Evaluation
from studio.measures.labels import Text, item_measures
from studio.measures.numbers import measured
from studio.measures.row_pages import html_lang
from studio.measures.sample_texts import Sample, load_samples
from studio.pages.addresses import chosen, page_url, query_with

Diff = Literal["baseline", "reference", "off"]
DIFFS: Mapping[Diff, Promise] = {
    "baseline": gettext_lazy("against the baseline's answer"),
    "reference": gettext_lazy("against the reference"),
    "off": gettext_lazy("off"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One choice of a question."""

    text: str
    is_right: bool
    is_picked: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one evaluation answered."""

    evaluation: Evaluation
    letter: str
    sample: Sample | None
    """None where this evaluation has no such item."""
    is_other_question: bool = False
    """Under the same id."""
    scores: Sequence[tuple[Text, str]] = ()
    diff_from: str = ""
    """Id of the element whose words this answer is compared with; empty for none."""
    choices: Sequence[Choice] = ()


def sample_context(request: ProjectRequest, comparison: Comparison) -> dict[str, object]:
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
        one.id: load_samples(one.samples, view.task, [item_id]).get(item_id)
        for one in comparison.evaluations
        if one.samples is not None
    }
    known = next(sample for sample in found.values() if sample is not None)
    diff = chosen(request.GET.get("diff", ""), list(DIFFS))
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
        "item_lang": html_lang(known.lang),
        "answers": [
            _answer(one, comparison, found.get(one.id), view, known, diff)
            for one in comparison.evaluations
        ],
        "outcome": _outcome(item_id, view),
        "diffs": [
            (label, query_with(request, diff=key), key == diff) for key, label in DIFFS.items()
        ],
        "position": None if position is None else position + 1,
        "total": len(ordered),
        "previous_url": neighbour(-1),
        "next_url": neighbour(1),
        "list_url": page_url("comparisons:samples", slug, query_with(request, item="", diff="")),
    }


def _outcome(item_id: str, view: PairView) -> str:
    change = change_of(item_id, view)
    return _("%(b)s against %(a)s by %(measure)s: %(word)s (%(text)s)") % {
        "a": view.letters[0],
        "b": view.letters[1],
        "measure": view.measure.label,
        "word": change.word,
        "text": change.text,
    }


def _answer(
    one: Evaluation,
    comparison: Comparison,
    sample: Sample | None,
    view: PairView,
    known: Sample,
    diff: Diff,
) -> Answer:
    letter = comparison.letters[one.id]
    if sample is None:
        return Answer(evaluation=one, letter=letter, sample=None)
    return Answer(
        evaluation=one,
        letter=letter,
        sample=sample,
        is_other_question=(sample.input, sample.reference) != (known.input, known.reference),
        # Every measure of the task: a dash says that this file is older than the measure.
        scores=[
            (measure.label, measured(measure, sample.score(measure)))
            for measure in item_measures(view.task)
        ],
        diff_from=_diff_from(view, diff, is_baseline=one is comparison.baseline),
        choices=[
            Choice(
                text=choice,
                is_right=index == sample.correct_choice,
                is_picked=index == sample.predicted_choice,
            )
            for index, choice in enumerate(sample.choices)
        ],
    )


def _diff_from(view: PairView, diff: Diff, *, is_baseline: bool) -> str:
    if view.task != "text_overlap" or diff == "off":
        return ""
    if diff == "reference":
        return "reference"
    return "" if is_baseline else "answer-A"
