"""The decoding dashboard: what speculation gains, what was predicted, and what was possible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from studio.evaluations.formats import NONE, decimal, interval, percent, ratio
from studio.evaluations.plots import Point, Series, forest, lines, size_for
from studio.evaluations.results import Benchmark
from studio.pages.charts import Chart

_COUNT_LABELS: Mapping[str, Promise] = {
    "is_lossless": gettext_lazy("Lossless"),
    "num_prompts": gettext_lazy("Prompts"),
    "num_identical": gettext_lazy("Identical"),
    "num_near_ties": gettext_lazy("Near ties"),
    "largest_gap": gettext_lazy("Largest logit gap"),
}


def arm_label(name: str) -> str:
    """The arm in the reader's language; other names are their authors'."""
    return {
        "autoregressive": _("without speculation"),
        "ngram": _("n-gram lookup"),
        "distilled": _("distilled draft"),
        "control_target_text": _("control: target's own text"),
        "control_gold": _("control: gold answers"),
    }.get(name, name)


def speculative_arms(benchmark: Benchmark) -> dict[str, Mapping[str, Any]]:
    """Every arm but the plain one, the headline first."""
    arms = {
        name: figures
        for name, figures in (benchmark.figure("arms") or {}).items()
        if name != "autoregressive"
    }
    headline = benchmark.figure("headline_arm")
    return dict(sorted(arms.items(), key=lambda item: item[0] != headline))


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """A benchmark in one row of a list."""

    benchmark: Benchmark
    arm: str
    speedup: str
    n: str
    is_lossless: bool | None


def headline(benchmark: Benchmark) -> Headline:
    """The arm that the benchmark was made for."""
    name = str(benchmark.figure("headline_arm") or "")
    speedup = benchmark.figure(f"arms.{name}.speedup") or {}
    spread = interval(speedup.get("low"), speedup.get("high"))
    return Headline(
        benchmark=benchmark,
        arm=arm_label(name),
        speedup=f"{ratio(speedup.get('value'))} {spread}".strip(),
        n=f"{speedup.get('n', 0)} \N{MULTIPLICATION SIGN} {benchmark.figure('num_repeats')}",
        is_lossless=benchmark.figure("losslessness.is_lossless"),
    )


def speedup_chart(benchmark: Benchmark) -> Chart:
    """Measured speedup beside prediction and bound."""
    arms = speculative_arms(benchmark)
    repeats = benchmark.figure("num_repeats")
    rows = []
    for name, arm in arms.items():
        speedup = arm.get("speedup") or {}
        spread = interval(speedup.get("low"), speedup.get("high"))
        rows.append(
            (
                arm_label(name),
                f"{ratio(speedup.get('value'))} {spread}".strip(),
                ratio(arm.get("predicted_speedup")),
                ratio(arm.get("oracle_bound")),
                percent(arm.get("fraction_of_oracle_bound"), 0),
                f"{speedup.get('n', 0)} \N{MULTIPLICATION SIGN} {repeats}",
                ratio((arm.get("speedup_without_repetitive_answers") or {}).get("value")),
            )
        )
    return Chart(
        key="speedup",
        title=_("Speedup over plain decoding"),
        figure=forest(
            [arm_label(name) for name in arms],
            [
                Series(name=_("Measured"), points=[_measured(arm) for arm in arms.values()]),
                Series(
                    name=_("Predicted from acceptance and cost"),
                    points=[Point(value=arm.get("predicted_speedup")) for arm in arms.values()],
                    symbol="diamond-open",
                ),
                Series(
                    name=_("Oracle bound"),
                    points=[Point(value=arm.get("oracle_bound")) for arm in arms.values()],
                    symbol="line-ns-open",
                ),
            ],
            x_title=_("times as fast as plain decoding"),
            lines=[1.0],
        ),
        columns=(
            _("Arm"),
            _("Measured [95% CI]"),
            _("Predicted"),
            _("Oracle bound"),
            _("Share of the bound"),
            _("Prompts \N{MULTIPLICATION SIGN} repeats"),
            _("Without repetitive answers"),
        ),
        rows=rows,
        note=_(
            "Decode time only, batch 1, median over prompts and repeats; prompts are resampled. "
            "Predicted: tokens per round over its cost. Oracle bound: the same draft and costs if "
            "the number of accepted tokens were known before each round."
        ),
        empty=_("The benchmark has no arm besides plain decoding."),
        size=size_for(len(arms)),
    )


def acceptance_chart(benchmark: Benchmark) -> Chart:
    """How far drafts are accepted."""
    arms = {
        name: arm
        for name, arm in speculative_arms(benchmark).items()
        if arm.get("acceptance_per_position")
    }
    longest = max((len(arm["acceptance_per_position"]) for arm in arms.values()), default=0)
    rows = [
        (
            arm_label(name),
            *(
                percent(value)
                for value in [
                    *arm["acceptance_per_position"],
                    *[None] * (longest - len(arm["acceptance_per_position"])),
                ]
            ),
        )
        for name, arm in arms.items()
    ]
    return Chart(
        key="acceptance",
        title=_("Share of rounds that accepted each drafted position"),
        figure=lines(
            [
                Series(
                    name=arm_label(name),
                    points=[Point(value=100 * share) for share in arm["acceptance_per_position"]],
                )
                for name, arm in arms.items()
            ],
            x_title=_("drafted position"),
            y_title=_("accepted, %"),
            first_x=1,
        ),
        columns=(_("Arm"), *(str(position) for position in range(1, longest + 1))),
        rows=rows,
        note=_(
            "A position counts as accepted only if all before it were. Shares of the same rounds "
            "that were timed; a round cut off by the end of an answer counts as not accepted."
        ),
        empty=_("No arm drafted a token."),
    )


def cost_chart(benchmark: Benchmark) -> Chart:
    """What a round costs, in plain target steps, and from which acceptance on it pays."""
    arms = {name: arm for name, arm in speculative_arms(benchmark).items() if arm.get("costs")}
    rows = []
    for name, arm in arms.items():
        costs = arm["costs"]
        rows.append(
            (
                arm_label(name),
                decimal(costs["c"], 3),
                " ".join(decimal(value) for value in costs["v"][1:]),
                decimal(costs["h"], 3),
                percent(arm.get("break_even_acceptance")),
                percent((arm.get("acceptance_per_position") or [None])[0]),
                arm.get("num_speculative_tokens", NONE),
            )
        )
    return Chart(
        key="costs",
        title=_("Cost of checking a draft, in plain target steps"),
        figure=lines(
            [
                Series(
                    name=arm_label(name),
                    points=[Point(value=value) for value in arm["costs"]["v"]],
                )
                for name, arm in arms.items()
            ],
            x_title=_("drafted tokens g"),
            y_title=_("v(g), target steps"),
            first_x=0,
        ),
        columns=(
            _("Arm"),
            _("c, one draft step"),
            _("v(1), v(2), ..."),
            _("h, overhead of a round"),
            _("Break-even acceptance"),
            _("Acceptance of the first token"),
            _("Draft length"),
        ),
        rows=rows,
        note=_(
            "A round of g tokens costs g c + v(g) + h. Break-even: c + v(1) - 1, the acceptance "
            "above which drafting one token pays when h is 0; at 100% or more it never does."
        ),
        empty=_("This engine's step costs cannot be measured from outside."),
    )


def throughput_rows(benchmark: Benchmark) -> list[Sequence[object]]:
    """Absolute figures of every arm, plain decoding first."""
    return [
        (
            arm_label(name),
            decimal(arm.get("tokens_per_second"), 1),
            decimal(arm.get("prefill_seconds"), 3),
            decimal(arm.get("decode_seconds"), 3),
            decimal(arm.get("mean_acceptance_length")),
            decimal(arm.get("block_efficiency")),
            percent(arm.get("draft_acceptance_rate")),
            percent(arm.get("repeated_4gram_rate")),
            f"{arm['num_output_tokens']:,}" if arm.get("num_output_tokens") else NONE,
            f"{arm['num_parameters']:,}" if arm.get("num_parameters") else NONE,
        )
        for name, arm in (benchmark.figure("arms") or {}).items()
    ]


def losslessness_rows(benchmark: Benchmark) -> tuple[list[str], list[Sequence[object]]]:
    """Columns and rows of the counts behind the losslessness verdict.

    A count that has no words here stands under the report's own name: nothing is lost.
    """
    checked = benchmark.figure("losslessness") or {}
    counted = {arm_label(name): counts for name, counts in (checked.get("arms") or {}).items()}
    if null := checked.get("autoregressive_batch_1_vs_8"):
        counted[_("plain decoding, batch 1 against 8")] = null
    names = [
        name
        for name, value in next(iter(counted.values()), {}).items()
        if isinstance(value, bool | int | float | None)
    ]
    rows: list[Sequence[object]] = [
        (label, *(_count(counts.get(name)) for name in names)) for label, counts in counted.items()
    ]
    return [str(_COUNT_LABELS.get(name, name)) for name in names], rows


def _count(value: float | bool | None) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return NONE if value is None else f"{value:g}"


def _measured(arm: Mapping[str, Any]) -> Point:
    speedup = arm.get("speedup") or {}
    return Point(value=speedup.get("value"), low=speedup.get("low"), high=speedup.get("high"))
