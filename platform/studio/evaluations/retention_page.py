"""The general-ability dashboard: what each checkpoint keeps of the base, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pipeline.contracts.evaluation_results import Reason, Verdict
from studio.evaluations.formats import (
    NONE,
    bounds,
    decimal,
    interval,
    p_value,
    percent,
    ratio,
    signed,
)
from studio.evaluations.links import compare_rows_url
from studio.evaluations.plots import Point, Series, bars, forest, panels, size_for
from studio.evaluations.results import Evaluation
from studio.pages.charts import Chart

SCORES: Mapping[str, Promise] = {
    "accuracy": gettext_lazy("right or wrong"),
    "probability": gettext_lazy("probability of the right choice"),
}
VERDICTS: Mapping[str, tuple[str, Promise]] = {
    Verdict.PASS: ("success", gettext_lazy("PASS")),
    Verdict.FAIL: ("danger", gettext_lazy("FAIL")),
    Verdict.INCONCLUSIVE: ("warning", gettext_lazy("INCONCLUSIVE")),
}
REASONS: Mapping[str, Promise] = {
    Reason.INTERVAL: gettext_lazy("the interval lies on one side of the margin"),
    Reason.INTERVAL_CROSSES_MARGIN: gettext_lazy("the interval crosses the margin"),
    Reason.TOO_FEW_ITEMS: gettext_lazy("too few questions to see a loss this small"),
    Reason.BASE_NEAR_CHANCE: gettext_lazy("the base hardly does better than guessing"),
    Reason.ITEMS_MISSING: gettext_lazy("questions are missing on one side"),
    Reason.CATEGORY_FAILED: gettext_lazy("a category fails by itself"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Retained:
    """One checkpoint with its retention report."""

    evaluation: Evaluation
    baseline: Evaluation | None
    retention: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        return str(self.retention["verdict"])

    @property
    def tone(self) -> str:
        return VERDICTS[self.verdict][0]

    @property
    def verdict_label(self) -> Promise:
        return VERDICTS[self.verdict][1]

    @property
    def sentence(self) -> str:
        """Why the verdict is what it is, and what would settle it."""
        text = str(REASONS[self.retention["reason"]])
        needed = self.retention["items_needed"]
        if needed is not None:
            text += " " + ngettext(
                "(about %(n)s question of this mix would settle it)",
                "(about %(n)s questions of this mix would settle it)",
                needed,
            ) % {"n": f"{needed:,}"}
        return text

    @property
    def margin(self) -> str:
        return percent(self.retention["margin"])

    @property
    def rows_url(self) -> str:
        """Its questions beside the base's; empty when the base's run is not here."""
        if self.baseline is None:
            return ""
        return compare_rows_url(
            [self.baseline, self.evaluation], task="general_ability", metric="is_correct"
        )

    @property
    def lost_url(self) -> str:
        return f"{self.rows_url}&outcome=a" if self.rows_url else ""


def retained(
    evaluations: Sequence[Evaluation], baselines: Mapping[str, Evaluation], score: str
) -> list[Retained]:
    """The evaluations that were compared with a base's answers to the same questions."""
    return [
        Retained(evaluation=one, baseline=baselines.get(one.id), retention=retention)
        for one in evaluations
        if (retention := one.figure(f"retention.{score}"))
    ]


def absences(evaluations: Sequence[Evaluation], score: str) -> list[tuple[str, str]]:
    """(name, reason) of the evaluations without a retention figure."""
    found = []
    for one in evaluations:
        if one.figure(f"retention.{score}"):
            continue
        if one.figure("general_ability") is None:
            reason = _("general ability was not measured in this run")
        elif one.is_of_base:
            reason = _("this is the base itself: accuracy %(accuracy)s, n = %(n)s") % {
                "accuracy": percent(one.figure("general_ability.accuracy")),
                "n": one.figure("general_ability.n"),
            }
        else:
            reason = _("the run was given no baseline to compare with")
        found.append((one.label, reason))
    return found


def ratio_chart(kept: Sequence[Retained]) -> Chart:
    """Retention of each checkpoint against the margin."""
    margins = sorted({one.retention["margin"] for one in kept})
    adjusted = [_point(one.retention["macro"], "adjusted_ratio") for one in kept]
    raw = [_point(one.retention["micro"], "ratio") for one in kept]
    rows = []
    for one in kept:
        macro, micro = one.retention["macro"], one.retention["micro"]
        rows.append(
            (
                one.evaluation.label,
                _with_interval(macro, "adjusted_ratio"),
                _with_interval(micro, "ratio"),
                f"{percent(micro['base'])} \N{RIGHTWARDS ARROW} {percent(micro['new'])}",
                _rows_link(one.rows_url, micro["num_items"]),
                micro["num_units"],
                one.retention["num_missing"],
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
            "judges it. Raw: score / base. Intervals: paired bootstrap of whole clusters. Dashed "
            "lines: 1 and 1 minus the margin."
        ),
        empty=_("No checkpoint here was compared with a base."),
        size=size_for(len(kept)),
    )


def flips_chart(kept: Sequence[Retained]) -> Chart:
    """Right answers lost and won; only for right-or-wrong scores."""
    flipped = [one for one in kept if one.retention["flips"]]
    flips = [one.retention["flips"] for one in flipped]
    rows = [
        (
            one.evaluation.label,
            _rows_link(one.lost_url, flip["regressed"]),
            flip["gained"],
            f"{percent(flip['regressed_rate'])} "
            + interval(*bounds(flip["regressed_rate_interval"]), scale=100, digits=1),
            percent(flip["null_flip_rate"]),
            p_value(flip["mcnemar_p"]),
            one.retention["micro"]["num_items"],
        )
        for one, flip in zip(flipped, flips, strict=True)
    ]
    return Chart(
        key="retention-flips",
        title=_("Right answers lost and gained"),
        figure=bars(
            [one.evaluation.label for one in flipped],
            [
                Series(name=_("Lost"), points=[Point(value=-flip["regressed"]) for flip in flips]),
                Series(name=_("Gained"), points=[Point(value=flip["gained"]) for flip in flips]),
            ],
            y_title=_("questions"),
        ),
        columns=(
            _("Checkpoint"),
            _("Lost"),
            _("Gained"),
            _("Loss rate [95% CI]"),
            _("Base against itself"),
            _("McNemar p"),
            "n",
        ),
        rows=rows,
        note=_(
            "Lost: the base was right and the checkpoint is wrong. A small net change can hide "
            "many flips. p: exact test that losses and gains are equally likely."
        ),
        empty=_("Flips are counted for right-or-wrong scores only."),
    )


def category_chart(one: Retained) -> Chart:
    """Retention of one checkpoint in each category, the worst one named."""
    worst = one.retention["worst_category"]
    categories = one.retention["categories"]
    rows = []
    for entry in categories:
        estimate = entry["estimate"]
        name = entry["category"] or NONE
        rows.append(
            (
                format_html("{} <strong>({})</strong>", name, _("worst"))
                if entry["category"] == worst
                else name,
                _with_interval(estimate, "adjusted_ratio"),
                f"{percent(estimate['base'])} \N{RIGHTWARDS ARROW} {percent(estimate['new'])}",
                signed(100 * estimate["difference"], 1) + " pp",
                estimate["num_items"],
                VERDICTS[entry["verdict"]][1],
            )
        )
    return Chart(
        key="retention-categories",
        title=_("%(checkpoint)s by category") % {"checkpoint": one.evaluation.label},
        figure=forest(
            [entry["category"] or NONE for entry in categories],
            [
                Series(
                    name=one.evaluation.label,
                    points=[_point(entry["estimate"], "adjusted_ratio") for entry in categories],
                )
            ],
            x_title=_("retention above chance"),
            lines=[1.0, 1.0 - one.retention["margin"]],
        ),
        columns=(
            _("Category"),
            _("Above chance [CI]"),
            _("Score, base to checkpoint"),
            _("Difference"),
            "n",
            _("Verdict"),
        ),
        rows=rows,
        note=_(
            "The intervals of all categories hold together at 95% (Bonferroni), so each is wider "
            "than it would be alone."
        ),
        empty=_("The report lists no category."),
        size=size_for(len(categories)),
    )


def gauge_chart(evaluations: Sequence[Evaluation]) -> Chart:
    """Bits per byte and divergence from the base, on text the base wrote."""
    measured = [one for one in evaluations if one.figure("gauge")]
    rows = [
        (
            one.label,
            decimal(one.figure("gauge.bits_per_byte"), 4),
            decimal(one.figure("gauge.kl_nats_per_token"), 4),
            one.figure("gauge.num_texts"),
            f"{one.figure('gauge.num_tokens'):,}",
            f"{one.figure('gauge.num_bytes'):,}",
        )
        for one in measured
    ]
    figure = panels(
        [one.label for one in measured],
        [
            Series(
                name=_("bits per byte"),
                points=[Point(value=one.figure("gauge.bits_per_byte")) for one in measured],
            ),
            Series(
                name=_("KL, nats per token"),
                points=[Point(value=one.figure("gauge.kl_nats_per_token")) for one in measured],
            ),
        ],
    )
    return Chart(
        key="gauge",
        title=_("How well each checkpoint still predicts text the base wrote"),
        figure=figure,
        columns=(
            _("Checkpoint"),
            _("Bits per byte"),
            _("KL, nats per token"),
            _("Texts"),
            _("Tokens"),
            _("Bytes"),
        ),
        rows=rows,
        note=_(
            "Lower is better for both; KL of the base from itself is 0. Totals over the texts, so "
            "there is no interval. The texts are sampled from the base with frozen prompts."
        ),
        empty=_("None of these runs measured the gauge."),
    )


def definitions(evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """(name, text) of the definitions behind the figures, as the reports state them."""
    names = {"general_ability": _("General ability"), "gauge": _("Gauge")}
    stated = {
        (label, one.definitions[name]): None
        for one in evaluations
        for name, label in names.items()
        if name in one.definitions
    }
    return list(stated)


def _point(estimate: Mapping[str, Any], name: str) -> Point:
    low, high = bounds(estimate[f"{name}_interval"])
    return Point(value=estimate[name], low=low, high=high)


def _with_interval(estimate: Mapping[str, Any], name: str) -> str:
    low, high = bounds(estimate[f"{name}_interval"])
    return f"{ratio(estimate[name])} {interval(low, high, digits=3)}".strip()


def _rows_link(url: str, text: object) -> object:
    return format_html('<a href="{}">{}</a>', url, text) if url else text
