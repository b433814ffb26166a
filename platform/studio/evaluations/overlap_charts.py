"""The charts of text overlap: how much of the reference answers each checkpoint says."""

from collections.abc import Mapping, Sequence

from django.utils.html import format_html
from django.utils.translation import gettext as _

from pipeline.contracts.estimates import PairedFigure
from studio.evaluations.links import compare_rows_url, rows_url
from studio.evaluations.overlap_figures import Answered, shown_size, shown_value
from studio.evaluations.results import Evaluation
from studio.measures.documents import Documents
from studio.measures.labels import ShownMeasure, overlap_measures
from studio.measures.numbers import count, difference, measured_interval, sample_size
from studio.measures.plots import Point, Series, bars, forest
from studio.pages.charts import Chart


def score_chart(answered: Sequence[Answered]) -> Chart:
    """All overlaps of each checkpoint."""
    measures = overlap_measures()
    rows = [
        (
            one.label,
            *(shown_value(one, measure) for measure in measures),
            format_html('<a href="{}">{}</a>', rows_url(one.evaluation), shown_size(one)),
        )
        for one in answered
    ]
    return Chart(
        key="overlap",
        title=_("Overlap with the reference answers"),
        figure=bars(
            [str(measure.label) for measure in measures],
            [
                Series(name=one.label, points=[one.point(measure) for measure in measures])
                for one in answered
            ],
            y_title=_("points, 0 to 100"),
        ),
        columns=(
            _("Checkpoint"),
            *(str(measure.label) for measure in measures),
            _("n / units drawn"),
        ),
        rows=rows,
        note=_(
            "Higher is better. 95% intervals: by whole documents. ROUGE: mean of the "
            "answers' F1; BLEU-4: of the whole set. An empty answer counts as 0."
        ),
        empty=_("None of these runs answered domain questions."),
    )


def change_chart(answered: Sequence[Answered], baselines: Mapping[str, Evaluation]) -> Chart:
    """Paired difference of each checkpoint to its baseline, from the reports."""
    measures = overlap_measures()
    compared = [
        (one.evaluation, pairs)
        for one in answered
        if (pairs := one.evaluation.results.text_overlap_vs_baseline)
    ]
    return Chart(
        key="overlap-change",
        title=_("Change against the base on the same questions"),
        figure=forest(
            [one.label for one, _pairs in compared],
            [
                Series(
                    name=str(measure.label),
                    points=[_change(pairs.get(measure.key)) for _one, pairs in compared],
                )
                for measure in measures
            ],
            x_title=_("difference in points"),
            lines=[0.0],
        ),
        columns=(
            _("Checkpoint"),
            _("Measure"),
            _("Difference [95% CI]"),
            _("Better / worse / same"),
            _("n / units drawn"),
            _("Questions to settle it"),
            _("Missing"),
        ),
        rows=[
            _change_row(one, baselines.get(one.id), measure, pair)
            for one, pairs in compared
            for measure in measures
            if (pair := pairs.get(measure.key)) is not None
        ],
        note=_(
            "Paired: the same documents for both. A missing answer is in no mean. Questions to "
            "settle it: how many of this kind would show a difference of this size; a dash where "
            "the interval excludes 0 already, or no number would."
        ),
        empty=_("None of these runs was given a baseline."),
        size="tall" if compared else "normal",
    )


def document_chart(answered: Sequence[Answered], measure: ShownMeasure) -> Chart:
    """One measure apart for documents that training may have seen and those kept out."""
    groups = {Documents.SEEN: _("Document seen"), Documents.UNSEEN: _("Document not seen")}
    rows = [
        (
            one.label,
            *(shown_value(one, measure, documents) for documents in groups),
            *(shown_size(one, documents) for documents in groups),
        )
        for one in answered
    ]
    return Chart(
        key="overlap-documents",
        title=_("%(measure)s by whether training may have seen the document")
        % {"measure": measure.label},
        figure=bars(
            [one.label for one in answered],
            [
                Series(name=name, points=[one.point(measure, documents) for one in answered])
                for documents, name in groups.items()
            ],
            y_title=_("points, 0 to 100"),
        ),
        columns=(_("Checkpoint"), *groups.values(), _("n / units seen"), _("n / units not seen")),
        rows=rows,
        note=_(
            "Two documents of each topic are kept out of all training: a gain on seen documents "
            "alone is memory, not ability."
        ),
        empty=_("None of these runs answered domain questions."),
    )


def _change(pair: PairedFigure | None) -> Point:
    return Point.of(None if pair is None else pair.difference)


def _change_row(
    one: Evaluation, baseline: Evaluation | None, measure: ShownMeasure, pair: PairedFigure
) -> tuple[object, ...]:
    return (
        one.label,
        measure.label,
        change(measure, pair),
        change_counts(one, baseline, measure, pair),
        sample_size(pair.difference),
        count(pair.items_needed),
        pair.missing,
    )


def change(measure: ShownMeasure, pair: PairedFigure) -> str:
    """The difference with its interval, in the measure's unit."""
    spread = measured_interval(measure, pair.difference)
    return f"{difference(measure, pair.difference.value)} {spread}".strip()


def change_counts(
    one: Evaluation, baseline: Evaluation | None, measure: ShownMeasure, pair: PairedFigure
) -> object:
    """Answers better, worse and the same, with a link to them where the baseline's run is here."""
    if pair.improved is None:
        return _("no score of a single answer")
    counts = f"{pair.improved} / {pair.regressed} / {pair.tied}"
    if baseline is None:
        return counts
    url = compare_rows_url([baseline, one], task=measure.task, metric=measure.key)
    return format_html('<a href="{}">{}</a>', url, counts)
