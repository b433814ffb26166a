"""The domain answers of one evaluation: intervals from its rows, else the report's own values."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import OverlapFigures, TextOverlapResults
from studio.evaluations.results import Evaluation
from studio.evaluations.stored_figures import Stored, StoredSummaries
from studio.measures.documents import Documents
from studio.measures.labels import ShownMeasure, overlap_measures
from studio.measures.numbers import (
    NONE,
    count,
    measured,
    measured_interval,
    percent,
    sample_size,
)
from studio.measures.plots import Point
from studio.measures.resampling import ResultFigures


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """An evaluation that answered domain questions."""

    evaluation: Evaluation
    overlap: TextOverlapResults
    stored: Stored[ResultFigures]

    @property
    def label(self) -> str:
        return self.evaluation.label

    def estimate(self, measure: ShownMeasure, documents: Documents) -> Estimate | None:
        """The figure with its interval; None while the rows are not resampled or not there."""
        figures = self.stored.figures
        return None if figures is None else figures.figure(measure.task, documents, measure.key)

    def point(self, measure: ShownMeasure, documents: Documents = Documents.ALL) -> Point:
        """The figure with its interval, or the report's own without one."""
        estimate = self.estimate(measure, documents)
        if estimate is not None:
            return Point.of(estimate)
        group = self._group(documents)
        return Point(value=None if group is None else group.figures.get(measure.key))

    def num_answers(self, documents: Documents) -> int:
        """How many of the questions rest on such documents."""
        group = self._group(documents)
        return 0 if group is None else group.n

    def _group(self, documents: Documents) -> OverlapFigures | None:
        if documents == Documents.ALL:
            return self.overlap
        is_seen = documents == Documents.SEEN
        return self.overlap.documents_seen if is_seen else self.overlap.documents_unseen


def with_answers(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The evaluations that answered domain questions."""
    return [one for one in evaluations if one.results.text_overlap is not None]


def answered_of(evaluations: Sequence[Evaluation], stored: StoredSummaries) -> list[Answered]:
    """The answers of the evaluations that gave any."""
    return [
        Answered(evaluation=one, overlap=overlap, stored=stored[one.id])
        for one in evaluations
        if (overlap := one.results.text_overlap) is not None
    ]


def shown_value(one: Answered, measure: ShownMeasure, documents: Documents = Documents.ALL) -> str:
    """A figure with its interval in the measure's unit."""
    value = measured(measure, one.point(measure, documents).value)
    return f"{value} {measured_interval(measure, one.estimate(measure, documents))}".strip()


def shown_size(one: Answered, documents: Documents = Documents.ALL) -> str:
    """Answers and the documents drawn of them; the answers alone while nothing is resampled."""
    known = (one.estimate(measure, documents) for measure in overlap_measures())
    estimate = next((found for found in known if found is not None), None)
    if estimate is None:
        return count(one.num_answers(documents))
    return sample_size(estimate)


def share_cut(one: Evaluation) -> float | None:
    """The share of answers that were cut at the cap, where it is too large to pass over."""
    overlap = one.results.text_overlap
    if overlap is None or not overlap.has_many_cut:
        return None
    return overlap.figures["cut_at_cap"]


def cut_warnings(answered: Sequence[Answered]) -> list[tuple[str, str]]:
    """(name, what is wrong) of the evaluations whose answers the cap decided."""
    found = []
    for one in answered:
        share = share_cut(one.evaluation)
        if share is not None:
            text = _(
                "%(share)s of %(n)s answers were cut at %(cap)s tokens before they ended, so the "
                "limit, not the model, decided how much of the references they say; the likelihood "
                "of the references does not depend on it"
            )
            values = {
                "share": percent(share),
                "n": one.overlap.n,
                "cap": one.evaluation.answer_cap or NONE,
            }
            found.append((one.label, text % values))
    return found


def definitions(answered: Sequence[Answered]) -> list[tuple[str, str]]:
    """(name, text) of the definitions behind the figures, as the reports state them."""
    stated: dict[tuple[str, str], None] = {}
    for one in answered:
        stated["ROUGE", one.overlap.rouge_signature] = None
        stated["BLEU", one.overlap.bleu_signature] = None
        if (likelihood := one.evaluation.definitions.get("reference_bits_per_byte")) is not None:
            stated[_("Reference answers"), likelihood] = None
    return list(stated)


def absences(evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """(name, reason) of the evaluations without answers."""
    reason = _("domain questions were not asked in this run")
    return [(one.label, reason) for one in evaluations if one.results.text_overlap is None]
