"""The text-overlap dashboard: how much of the reference answers each checkpoint says."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.html import format_html
from django.utils.translation import gettext as _

from studio.evaluations.formats import (
    bounds,
    decimal,
    difference,
    measured,
    measured_interval,
)
from studio.evaluations.links import compare_rows_url, rows_url
from studio.evaluations.measures import MEASURES
from studio.evaluations.models import Documents
from studio.evaluations.plots import Point, Series, bars, forest
from studio.evaluations.results import Evaluation
from studio.evaluations.stored_figures import StoredFigures
from studio.pages.charts import Chart

OVERLAPS = ("rouge1", "rouge2", "rougeL", "bleu4")
Stored = Mapping[str, StoredFigures]


def with_answers(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The evaluations that answered domain questions."""
    return [one for one in evaluations if one.figure("text_overlap") is not None]


def metric_choices() -> list[tuple[str, str]]:
    """(key, label) of what the chart by document can show, the usual one first."""
    return [(key, str(MEASURES[key].label)) for key in ("rougeL", "rouge1", "rouge2", "bleu4")]


def score_chart(evaluations: Sequence[Evaluation], stored: Stored) -> Chart:
    """All four overlaps of each checkpoint."""
    rows = []
    for one in evaluations:
        cells = [_cell(one, stored, key, Documents.ALL) for key in OVERLAPS]
        count = format_html('<a href="{}">{}</a>', rows_url(one), one.figure("text_overlap.n"))
        rows.append((one.label, *cells, count))
    return Chart(
        key="overlap",
        title=_("Overlap with the reference answers"),
        figure=bars(
            [str(MEASURES[key].label) for key in OVERLAPS],
            [
                Series(
                    name=one.label,
                    points=[_point(one, stored, key, Documents.ALL) for key in OVERLAPS],
                )
                for one in evaluations
            ],
            y_title=_("points, 0 to 100"),
        ),
        columns=(_("Checkpoint"), *(str(MEASURES[key].label) for key in OVERLAPS), "n"),
        rows=rows,
        note=_(
            "Higher is better. 95% intervals: bootstrap of whole documents. ROUGE: mean of the "
            "answers' F1; BLEU-4: of the whole set. An empty answer counts as 0."
        ),
        empty=_("None of these runs answered domain questions."),
    )


def change_chart(evaluations: Sequence[Evaluation], baselines: Mapping[str, Evaluation]) -> Chart:
    """Paired difference of each checkpoint to its baseline, from the reports."""
    compared = [one for one in evaluations if one.figure("text_overlap_vs_baseline")]
    rows, names = [], []
    points: dict[str, list[Point]] = {key: [] for key in OVERLAPS}
    for one in compared:
        names.append(one.label)
        for key in OVERLAPS:
            pair = one.figure(f"text_overlap_vs_baseline.{key}")
            low, high = bounds(pair["difference_interval"])
            points[key].append(Point(value=pair["difference"], low=low, high=high))
            rows.append(_change_row(one, baselines.get(one.id), key, pair))
    return Chart(
        key="overlap-change",
        title=_("Change against the base on the same questions"),
        figure=forest(
            names,
            [Series(name=str(MEASURES[key].label), points=points[key]) for key in OVERLAPS],
            x_title=_("difference in points"),
            lines=[0.0],
        ),
        columns=(
            _("Checkpoint"),
            _("Measure"),
            _("Difference [95% CI]"),
            _("Better / worse / same"),
            "n",
            _("Missing"),
        ),
        rows=rows,
        note=_("Paired: the same draws of documents for both. A missing answer is in no mean."),
        empty=_("None of these runs was given a baseline."),
        size="tall" if compared else "normal",
    )


def document_chart(evaluations: Sequence[Evaluation], stored: Stored, key: str) -> Chart:
    """One measure apart for documents that training may have seen and those kept out."""
    groups = {Documents.SEEN: _("Document seen"), Documents.UNSEEN: _("Document not seen")}
    rows = [
        (
            one.label,
            *(_cell(one, stored, key, documents) for documents in groups),
            one.figure("text_overlap.documents_seen.n") or 0,
            one.figure("text_overlap.documents_unseen.n") or 0,
        )
        for one in evaluations
    ]
    return Chart(
        key="overlap-documents",
        title=_("%(measure)s by whether training may have seen the document")
        % {"measure": MEASURES[key].label},
        figure=bars(
            [one.label for one in evaluations],
            [
                Series(
                    name=name, points=[_point(one, stored, key, documents) for one in evaluations]
                )
                for documents, name in groups.items()
            ],
            y_title=_("points, 0 to 100"),
        ),
        columns=(
            _("Checkpoint"),
            *groups.values(),
            _("n seen"),
            _("n not seen"),
        ),
        rows=rows,
        note=_(
            "Two documents of each topic are kept out of all training: a gain on seen documents "
            "alone is memory, not ability."
        ),
        empty=_("None of these runs answered domain questions."),
    )


def length_chart(evaluations: Sequence[Evaluation], stored: Stored) -> Chart:
    """What can move the overlaps without a better answer: length, cuts and repetition."""
    overlap = [one.figure("text_overlap") for one in evaluations]
    rows = [
        (
            one.label,
            _cell(one, stored, "num_answer_tokens", Documents.ALL),
            decimal(figures["mean_reference_tokens"], 1),
            decimal(figures["brevity_penalty"], 3),
            _cell(one, stored, "cut_at_cap", Documents.ALL),
            _cell(one, stored, "repeated_4gram_rate", Documents.ALL),
            figures["num_empty"],
            figures["n"],
        )
        for one, figures in zip(evaluations, overlap, strict=True)
    ]
    references = [figures["mean_reference_tokens"] for figures in overlap]
    return Chart(
        key="overlap-length",
        title=_("Length of the answers"),
        figure=bars(
            [one.label for one in evaluations],
            [
                Series(
                    name=_("Answer length"),
                    points=[
                        _point(one, stored, "num_answer_tokens", Documents.ALL)
                        for one in evaluations
                    ],
                )
            ],
            y_title=_("tokens, mean"),
            line=references[0] if len(set(references)) == 1 else None,
        ),
        columns=(
            _("Checkpoint"),
            _("Answer tokens [95% CI]"),
            _("Reference tokens"),
            _("Brevity penalty"),
            _("Cut at the cap"),
            _("Repetition"),
            _("Empty"),
            "n",
        ),
        rows=rows,
        note=_(
            "Dashed line: mean length of the references. Brevity penalty: BLEU's factor for "
            "answers that are together shorter than the references; 1 is neutral."
        ),
        empty=_("None of these runs answered domain questions."),
    )


def definitions(evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """(name, text) of the definitions behind the figures, as the reports state them."""
    stated: dict[tuple[str, str], None] = {}
    for one in evaluations:
        stated["ROUGE", str(one.figure("text_overlap.rouge_signature"))] = None
        stated["BLEU", str(one.figure("text_overlap.bleu_signature"))] = None
    return list(stated)


def _change_row(
    one: Evaluation, baseline: Evaluation | None, key: str, pair: Mapping[str, Any]
) -> tuple[object, ...]:
    measure = MEASURES[key]
    counts: object = _("no score of a single answer")
    if "improved" in pair:
        counts = f"{pair['improved']} / {pair['regressed']} / {pair['tied']}"
        if baseline is not None:
            url = compare_rows_url([baseline, one], task="text_overlap", metric=key)
            counts = format_html('<a href="{}">{}</a>', url, counts)
    spread = measured_interval(measure, *bounds(pair["difference_interval"]))
    return (
        one.label,
        measure.label,
        f"{difference(measure, pair['difference'])} {spread}".strip(),
        counts,
        pair["n"],
        pair.get("missing", 0),
    )


def _point(one: Evaluation, stored: Stored, key: str, documents: Documents) -> Point:
    figure = stored[one.id].figure("text_overlap", documents, key)
    if figure is None:
        return Point(value=_reported(one, key, documents))
    return Point(value=figure["value"], low=figure["low"], high=figure["high"])


def _cell(one: Evaluation, stored: Stored, key: str, documents: Documents) -> str:
    measure = MEASURES[key]
    point = _point(one, stored, key, documents)
    spread = measured_interval(measure, point.low, point.high)
    return f"{measured(measure, point.value)} {spread}".strip()


_REPORT_NAMES = {"num_answer_tokens": "mean_answer_tokens", "cut_at_cap": "cut_at_cap_fraction"}


def _reported(one: Evaluation, key: str, documents: Documents) -> float | None:
    """The report's own figure, for when the rows cannot be read or are not resampled yet."""
    group = "" if documents == Documents.ALL else f"documents_{documents.value}."
    value: float | None = one.figure(f"text_overlap.{group}{_REPORT_NAMES.get(key, key)}")
    return value
