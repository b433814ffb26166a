"""The chart of how likely each checkpoint finds the reference answers."""

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext as _

from studio.evaluations.overlap_charts import change, change_counts
from studio.evaluations.overlap_figures import Answered, shown_size, shown_value
from studio.evaluations.results import Evaluation
from studio.measures.labels import MEASURES
from studio.measures.numbers import NONE, count, measured
from studio.measures.plots import Point, Series, forest, size_for
from studio.pages.charts import Chart

KEY = "reference_bits_per_byte"


def likelihood_chart(answered: Sequence[Answered], baselines: Mapping[str, Evaluation]) -> Chart:
    """Bits per byte of the references, and the paired difference to the base."""
    measure = MEASURES[KEY]
    shown = [one for one in answered if KEY in one.overlap.figures]
    pairs = [(one.evaluation.results.text_overlap_vs_baseline or {}).get(KEY) for one in shown]
    margins = {one.evaluation.spec.margins.of(KEY) for one in shown}
    margin = margins.pop() if len(margins) == 1 else None
    lines = [0.0] if margin is None else [-margin, 0.0, margin]
    rows = [
        (
            one.label,
            shown_value(one, measure),
            NONE if pair is None else change(measure, pair),
            NONE
            if pair is None
            else change_counts(one.evaluation, baselines.get(one.evaluation.id), measure, pair),
            shown_size(one),
            NONE if pair is None else count(pair.items_needed),
        )
        for one, pair in zip(shown, pairs, strict=True)
    ]
    note = _(
        "Lower is better. Bits of the reference answers, given their questions, / UTF-8 bytes; "
        "nothing is generated. It decides with fewer questions than overlaps do."
    )
    if margin is not None:
        note += " " + _("Dashed lines: 0 and the margin of %(margin)s fixed before the runs.") % {
            "margin": measured(measure, margin)
        }
    return Chart(
        key="reference-likelihood",
        title=_("How likely each checkpoint finds the reference answers"),
        figure=forest(
            [one.label for one in shown],
            [
                Series(
                    name=str(measure.label),
                    points=[Point.of(None if pair is None else pair.difference) for pair in pairs],
                )
            ],
            x_title=_("difference to the base, bits per byte"),
            lines=lines,
        ),
        columns=(
            _("Checkpoint"),
            _("Bits per byte [95% CI]"),
            _("Difference [95% CI]"),
            _("Better / worse / same"),
            _("n / units drawn"),
            _("Questions to settle it"),
        ),
        rows=rows,
        note=note,
        empty=_("None of these runs measured it: they are older than the measure."),
        size=size_for(len(shown)),
    )
