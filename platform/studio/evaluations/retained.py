"""What one checkpoint keeps of the base: the verdict with its reasons, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pipeline.contracts.evaluation_results import (
    CategoryRetention,
    Reason,
    RetentionResults,
)
from pipeline.contracts.verdicts import Verdict
from studio.evaluations.flip_nulls import null_rates
from studio.evaluations.links import compare_rows_url
from studio.evaluations.results import Evaluation
from studio.measures.numbers import few_units, percent, sample_size

Score = Literal["accuracy", "probability"]
SCORES: Mapping[Score, Promise] = {
    "accuracy": gettext_lazy("right or wrong"),
    "probability": gettext_lazy("probability of the right choice"),
}
VERDICTS: Mapping[Verdict, tuple[str, Promise]] = {
    Verdict.PASS: ("success", gettext_lazy("PASS")),
    Verdict.FAIL: ("danger", gettext_lazy("FAIL")),
    Verdict.INCONCLUSIVE: ("warning", gettext_lazy("INCONCLUSIVE")),
}
REASONS: Mapping[Reason, Promise] = {
    Reason.INTERVAL: gettext_lazy("the interval lies on one side of the margin"),
    Reason.INTERVAL_CROSSES_MARGIN: gettext_lazy("the interval crosses the margin"),
    Reason.TOO_FEW_ITEMS: gettext_lazy("too few questions to see a loss this small"),
    Reason.TOO_FEW_CLUSTERS: gettext_lazy("too few subjects or passages to speak of others"),
    Reason.BASE_NEAR_CHANCE: gettext_lazy("the base hardly does better than guessing"),
    Reason.ITEMS_MISSING: gettext_lazy("questions are missing on one side"),
    Reason.CATEGORY_FAILED: gettext_lazy("a category fails by itself"),
    Reason.CLUSTER_FAILED: gettext_lazy("a subject or passage fails by itself"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Retained:
    """One checkpoint with its retention report."""

    evaluation: Evaluation
    baseline: Evaluation | None
    retention: RetentionResults

    @property
    def tone(self) -> str:
        return VERDICTS[self.retention.verdict][0]

    @property
    def verdict_label(self) -> Promise:
        return VERDICTS[self.retention.verdict][1]

    @property
    def sentence(self) -> str:
        """Why the verdict is what it is, and what would settle it."""
        text = str(REASONS[self.retention.reason])
        needed = self.retention.items_needed
        if needed is not None:
            text += " " + ngettext(
                "(about %(n)s question of this mix would settle it)",
                "(about %(n)s questions of this mix would settle it)",
                needed,
            ) % {"n": f"{needed:,}"}
        clusters = self.retention.clusters_needed
        if clusters is not None:
            text += " " + ngettext(
                "(about %(n)s subject or passage of this size would settle it)",
                "(about %(n)s subjects or passages of this size would settle it)",
                clusters,
            ) % {"n": f"{clusters:,}"}
        worst = self.retention.worst_cluster
        if worst is not None and self.retention.reason is Reason.CLUSTER_FAILED:
            text += _(": %(cluster)s lost %(lost)s of %(n)s answers and won %(won)s") % {
                "cluster": worst.cluster,
                "lost": worst.regressed,
                "n": worst.num_items,
                "won": worst.gained,
            }
        return text

    @property
    def margin(self) -> str:
        return percent(self.retention.margin)

    @property
    def few_units(self) -> str:
        """The mark of a verdict whose intervals rest on few units; else empty."""
        return few_units(self.retention.micro.num_units)

    @property
    def size(self) -> str:
        """Questions, and the units drawn of them."""
        return sample_size(self.retention.micro.difference)

    @property
    def worst(self) -> CategoryRetention | None:
        """The category that lost most; None where none lost anything.

        By the ratio that the verdict judges while every category has one. A base near chance has
        none, however much was lost there: then by the loss in score, which every category has.
        """
        categories = self.retention.categories
        ratios = [one.estimate.adjusted_ratio for one in categories]
        losses = [
            one.estimate.difference.value if None in ratios or ratio is None else ratio.value - 1.0
            for one, ratio in zip(categories, ratios, strict=True)
        ]
        lowest = min(losses, default=0.0)
        return categories[losses.index(lowest)] if lowest < 0 else None

    @property
    def has_every_ratio(self) -> bool:
        """Whether all categories are far enough above chance for a ratio."""
        return all(one.estimate.adjusted_ratio is not None for one in self.retention.categories)

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
    evaluations: Sequence[Evaluation], baselines: Mapping[str, Evaluation], score: Score
) -> list[Retained]:
    """The evaluations that were compared with a base's answers to the same questions."""
    return [
        Retained(evaluation=one, baseline=baselines.get(one.id), retention=retention)
        for one in evaluations
        if (retention := retention_of(one, score)) is not None
    ]


def retention_of(one: Evaluation, score: Score) -> RetentionResults | None:
    """The report's retention; None where the run was given nothing to compare with."""
    both = one.results.retention
    if both is None:
        return None
    return both.accuracy if score == "accuracy" else both.probability


def absences(evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """(name, reason) of the evaluations without a retention figure."""
    found = []
    for one in evaluations:
        ability = one.results.general_ability
        if one.results.retention is not None:
            continue
        if ability is None:
            reason = _("general ability was not measured in this run")
        elif one.is_of_base:
            reason = _("this is the base itself: accuracy %(accuracy)s, n = %(n)s") % {
                "accuracy": percent(ability.figures.get("is_correct")),
                "n": ability.n,
            }
            if one.results.flip_nulls:
                lost = _("; asked again it loses right answers: %(rates)s")
                reason += lost % {"rates": null_rates(one.results.flip_nulls)}
        else:
            reason = _("the run was given no baseline to compare with")
        found.append((one.label, reason))
    return found


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
