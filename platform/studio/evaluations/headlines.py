"""One evaluation in one row of a list: what it found, in a few figures with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from studio.evaluations.formats import bounds, decimal, interval, measured, percent, ratio
from studio.evaluations.measures import MEASURES
from studio.evaluations.results import Evaluation
from studio.evaluations.retention_page import Retained


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """The row's cells; a dash where the run did not measure the figure."""

    evaluation: Evaluation
    retained: Retained | None
    retention: str
    num_questions: int | None
    accuracy: str
    rouge: str
    bleu: str
    num_answers: int | None
    bits_per_byte: str


def _kept(retention: Mapping[str, Any]) -> str:
    """The chance-adjusted ratio, or the raw one where the base is too near chance for it."""
    macro, micro = retention["macro"], retention["micro"]
    if macro["adjusted_ratio"] is not None:
        spread = interval(*bounds(macro["adjusted_ratio_interval"]), digits=3)
        return f"{ratio(macro['adjusted_ratio'])} {spread}".strip()
    spread = interval(*bounds(micro["ratio_interval"]), digits=3)
    return _("raw %(ratio)s %(interval)s") % {"ratio": ratio(micro["ratio"]), "interval": spread}


def headline(evaluation: Evaluation) -> Headline:
    """The figures of the run's report."""
    retention = evaluation.figure("retention.accuracy")
    shown = ""
    if retention:
        shown = _kept(retention)
    return Headline(
        evaluation=evaluation,
        retained=(
            Retained(evaluation=evaluation, baseline=None, retention=retention)
            if retention
            else None
        ),
        retention=shown,
        num_questions=evaluation.figure("general_ability.n"),
        accuracy=percent(evaluation.figure("general_ability.accuracy")),
        rouge=measured(MEASURES["rougeL"], evaluation.figure("text_overlap.rougeL")),
        bleu=measured(MEASURES["bleu4"], evaluation.figure("text_overlap.bleu4")),
        num_answers=evaluation.figure("text_overlap.n"),
        bits_per_byte=decimal(evaluation.figure("gauge.bits_per_byte"), 3),
    )
