"""The chart of what can move the overlaps without a better answer: length, cuts, repetition."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from studio.evaluations.overlap_figures import Answered, shown_size, shown_value
from studio.measures.labels import MEASURES, describing_measures
from studio.measures.numbers import decimal
from studio.measures.plots import Series, bars
from studio.pages.charts import Chart


def length_chart(answered: Sequence[Answered]) -> Chart:
    """Length of the answers, and the measures that describe an answer instead of judging it."""
    measures, length = describing_measures(), MEASURES["num_answer_tokens"]
    rows = [
        (
            one.label,
            *(shown_value(one, measure) for measure in measures),
            decimal(one.overlap.mean_reference_tokens, 1),
            decimal(one.overlap.brevity_penalty, 3),
            one.overlap.num_empty,
            shown_size(one),
        )
        for one in answered
    ]
    references = {one.overlap.mean_reference_tokens for one in answered}
    return Chart(
        key="overlap-length",
        title=_("Length of the answers"),
        figure=bars(
            [one.label for one in answered],
            [Series(name=str(length.label), points=[one.point(length) for one in answered])],
            y_title=_("tokens, mean"),
            line=references.pop() if len(references) == 1 else None,
        ),
        columns=(
            _("Checkpoint"),
            *(str(measure.label) for measure in measures),
            _("Reference tokens"),
            _("Brevity penalty"),
            _("Empty"),
            _("n / units drawn"),
        ),
        rows=rows,
        note=_(
            "Dashed line: mean length of the references. Brevity penalty: BLEU's factor for "
            "answers that are together shorter than the references; 1 is neutral."
        ),
        empty=_("None of these runs answered domain questions."),
    )
