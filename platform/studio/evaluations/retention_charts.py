"""The charts of general ability: what each checkpoint keeps of the base, and how sure that is."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.translation import gettext as _

from pipeline.metrics.decisions import family_level
from studio.evaluations.flip_nulls import beyond_nulls, null_rates, varied
from studio.evaluations.retained import VERDICTS, Retained
from studio.measures.numbers import (
    ARROW,
    NONE,
    interval,
    p_value,
    percent,
    ratio_estimate,
    sample_size,
    signed,
)
from studio.measures.plots import Point, Series, bars, forest, size_for
from studio.pages.charts import Chart


def ratio_chart(kept: Sequence[Retained]) -> Chart:
    """Retention of each checkpoint against the margin."""
    margins = sorted({one.retention.margin for one in kept})
    adjusted = [Point.of_ratio(one.retention.macro.adjusted_ratio) for one in kept]
    raw = [Point.of_ratio(one.retention.micro.ratio) for one in kept]
    rows = []
    for one in kept:
        macro, micro = one.retention.macro, one.retention.micro
        rows.append(
            (
                one.evaluation.label,
                ratio_estimate(macro.adjusted_ratio),
                ratio_estimate(micro.ratio),
                percent(micro.base) + ARROW + percent(micro.new),
                _rows_link(one.rows_url, micro.num_items),
                f"{micro.num_units:,}",
                one.retention.num_missing,
            )
        )
    return Chart(
        key="retention-ratio",
        title=_("General ability kept, against the base on the same questions"),
        figure=forest(
            [one.evaluation.label for one in kept],
            [
                Series(name=_("Above chance, mean of categories"), points=adjusted),
                Series(name=_("Raw, mean of questions"), points=raw, symbol="diamond"),
            ],
            x_title=_("retention (1 = nothing lost)"),
            lines=[1.0, *(1.0 - margin for margin in margins)],
        ),
        columns=(
            _("Checkpoint"),
            _("Above chance [95% CI]"),
            _("Raw [95% CI]"),
            _("Score, base to checkpoint"),
            "n",
            _("Units drawn"),
            _("Missing"),
        ),
        rows=rows,
        note=_(
            "Above chance: (score - chance) / (base - chance), mean over categories; the verdict "
            "judges it. Raw: score / base. Intervals: paired, by whole clusters. Dashed lines: 1 "
            "and 1 minus the margin."
        ),
        empty=_("No checkpoint here was compared with a base."),
        size=size_for(len(kept)),
    )


def flips_chart(kept: Sequence[Retained]) -> Chart:
    """Right answers lost and won; only for right-or-wrong scores."""
    flipped = [(one, flips) for one in kept if (flips := one.retention.flips) is not None]
    rows = [
        (
            one.evaluation.label,
            _rows_link(one.lost_url, flips.regressed),
            flips.gained,
            f"{percent(flips.regressed_rate.value)} "
            + interval(flips.regressed_rate, scale=100, digits=1),
            null_rates(flips.nulls),
            beyond_nulls(flips),
            p_value(flips.mcnemar_p),
            sample_size(flips.regressed_rate),
        )
        for one, flips in flipped
    ]
    note = _(
        "Lost: the base was right and the checkpoint is wrong. A small net change can hide "
        "many flips. p: exact test that losses and gains are equally likely."
    )
    again = varied([null for _one, flips in flipped[:1] for null in flips.nulls])
    if again:
        note += " " + _(
            "The base against itself: what it loses of its own answers when it is asked again "
            "(%(changes)s). More than that is only said where the two intervals are apart."
        ) % {"changes": again}
    return Chart(
        key="retention-flips",
        title=_("Right answers lost and gained"),
        figure=bars(
            [one.evaluation.label for one, _flips in flipped],
            [
                Series(
                    name=_("Lost"),
                    points=[Point(value=-flips.regressed) for _one, flips in flipped],
                ),
                Series(
                    name=_("Gained"), points=[Point(value=flips.gained) for _one, flips in flipped]
                ),
            ],
            y_title=_("questions"),
        ),
        columns=(
            _("Checkpoint"),
            _("Lost"),
            _("Gained"),
            _("Loss rate [95% CI]"),
            _("Base against itself [95% CI]"),
            _("Lost beyond that"),
            _("McNemar p"),
            _("n / units drawn"),
        ),
        rows=rows,
        note=note,
        empty=_("Flips are counted for right-or-wrong scores only."),
    )


def category_chart(one: Retained) -> Chart:
    """Retention of one checkpoint in each category, the worst one named."""
    worst = one.worst
    categories = one.retention.categories
    level = percent(_category_level(one))
    note = _(
        "Each interval of this table is a %(level)s interval, so that those of all %(number)s "
        "categories hold together at 95%% (Bonferroni); the chart of all checkpoints shows 95%% "
        "intervals."
    ) % {"level": level, "number": len(categories)}
    if not one.has_every_ratio:
        note += " " + _(
            "A base near chance has no ratio to keep, so the worst category is the one with the "
            "largest loss in score."
        )
    rows = []
    for entry in categories:
        group = entry.estimate
        name = entry.category or NONE
        rows.append(
            (
                format_html("{} <strong>({})</strong>", name, _("worst"))
                if entry is worst
                else name,
                ratio_estimate(group.adjusted_ratio),
                percent(group.base) + ARROW + percent(group.new),
                f"{signed(100 * group.difference.value, 1)} pp "
                + interval(group.difference, scale=100, digits=1),
                sample_size(group.difference),
                VERDICTS[entry.verdict][1],
            )
        )
    return Chart(
        key="retention-categories",
        title=_("%(checkpoint)s by category") % {"checkpoint": one.evaluation.label},
        figure=forest(
            [entry.category or NONE for entry in categories],
            [
                Series(
                    name=one.evaluation.label,
                    points=[Point.of_ratio(entry.estimate.adjusted_ratio) for entry in categories],
                )
            ],
            x_title=_("retention above chance"),
            lines=[1.0, 1.0 - one.retention.margin],
        ),
        columns=(
            _("Category"),
            _("Above chance [%(level)s CI]") % {"level": level},
            _("Score, base to checkpoint"),
            _("Difference [%(level)s CI]") % {"level": level},
            _("n / units drawn"),
            _("Verdict"),
        ),
        rows=rows,
        note=note,
        empty=_("The report lists no category."),
        size=size_for(len(categories)),
    )


def _category_level(one: Retained) -> float:
    """Of each category's interval; the report's own where it has one."""
    categories = one.retention.categories
    levels = [entry.estimate.difference.level for entry in categories]
    return next((level for level in levels if level is not None), family_level(len(categories)))


def _rows_link(url: str, text: object) -> object:
    return format_html('<a href="{}">{}</a>', url, text) if url else text
