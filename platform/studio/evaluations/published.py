"""The paper's five claims beside what one plan of ours measured.

Published figures are quoted; what was measured behind them, and how, is not published, so no cell
here says that a claim is confirmed or refuted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from studio.evaluations.formats import (
    bounds,
    decimal,
    difference,
    interval,
    measured,
    measured_interval,
    percent,
    ratio,
)
from studio.evaluations.links import compare_rows_url, run_url
from studio.evaluations.measures import MEASURES
from studio.evaluations.models import Documents
from studio.evaluations.plots import Point, Series, forest
from studio.evaluations.results import (
    BASE,
    CPT,
    SFT_PROGRESSIVE,
    SFT_SINGLE_STAGE,
    Benchmark,
    Evaluation,
)
from studio.evaluations.retention_page import VERDICTS
from studio.evaluations.speedup_page import arm_label
from studio.evaluations.stored_figures import PairKey, StoredFigures
from studio.pages.charts import Chart

SOURCE = "SOAEsV2-7B/72B, arXiv 2505.04723"
PAIRS = ((BASE, CPT), (SFT_SINGLE_STAGE, SFT_PROGRESSIVE))
ROLE_LABELS: Mapping[str, Promise] = {
    BASE: gettext_lazy("an evaluation of the base"),
    CPT: gettext_lazy("an evaluation of the continually pre-trained model"),
    SFT_PROGRESSIVE: gettext_lazy("an evaluation of the progressively fine-tuned model"),
    SFT_SINGLE_STAGE: gettext_lazy("an evaluation of the single-stage control"),
}
StoredPairs = Mapping[Documents, Mapping[PairKey, StoredFigures]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A figure of the paper's abstract."""

    key: str
    title: Promise
    short: Promise
    """For the axis of the chart."""
    text: str
    low: float
    high: float


CLAIMS: Mapping[str, Published] = {
    claim.key: claim
    for claim in (
        Published(
            key="retention",
            title=gettext_lazy("General ability kept by continual pre-training"),
            short=gettext_lazy("General ability"),
            text="99.8%",
            low=0.998,
            high=0.998,
        ),
        Published(
            key="cpt_rouge1",
            title=gettext_lazy("Continual pre-training over the base, ROUGE-1"),
            short=gettext_lazy("CPT, ROUGE-1"),
            text="1.08\N{MULTIPLICATION SIGN}",
            low=1.08,
            high=1.08,
        ),
        Published(
            key="cpt_bleu4",
            title=gettext_lazy("Continual pre-training over the base, BLEU-4"),
            short=gettext_lazy("CPT, BLEU-4"),
            text="1.17\N{MULTIPLICATION SIGN}",
            low=1.17,
            high=1.17,
        ),
        Published(
            key="sft_rouge1",
            title=gettext_lazy("Progressive over single-stage fine-tuning, ROUGE-1"),
            short=gettext_lazy("SFT, ROUGE-1"),
            text="1.02\N{MULTIPLICATION SIGN}",
            low=1.02,
            high=1.02,
        ),
        Published(
            key="sft_bleu4",
            title=gettext_lazy("Progressive over single-stage fine-tuning, BLEU-4"),
            short=gettext_lazy("SFT, BLEU-4"),
            text="1.06\N{MULTIPLICATION SIGN}",
            low=1.06,
            high=1.06,
        ),
        Published(
            key="speedup",
            title=gettext_lazy("Speculative decoding with a distilled draft"),
            short=gettext_lazy("Decoding speed"),
            text="1.39\N{EN DASH}1.52\N{MULTIPLICATION SIGN}",
            low=1.39,
            high=1.52,
        ),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimRow:
    """One claim with our figure, or why there is none."""

    published: Published
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: str = ""
    """Count with its unit."""
    absolute: str = ""
    """The two values behind the ratio."""
    details: Sequence[str] = ()
    definition: str = ""
    verdict: str = ""
    rows_url: str = ""
    reason: str = ""
    """Why there is no figure."""

    @property
    def ratio(self) -> str:
        return ratio(self.value)

    @property
    def interval(self) -> str:
        return interval(self.low, self.high, digits=3)


def claim_rows(
    evaluations: Sequence[Evaluation], benchmark: Benchmark | None, stored: StoredPairs
) -> list[ClaimRow]:
    """The claims in the paper's order; `stored` has the comparisons of `pairs_to_compare`."""
    by_role = {one.role: one for one in evaluations}
    return [
        _retention_row(by_role.get(BASE), by_role.get(CPT)),
        *(
            _overlap_row(CLAIMS[key], by_role, baseline, candidate, measure, stored)
            for key, baseline, candidate, measure in (
                ("cpt_rouge1", BASE, CPT, "rouge1"),
                ("cpt_bleu4", BASE, CPT, "bleu4"),
                ("sft_rouge1", SFT_SINGLE_STAGE, SFT_PROGRESSIVE, "rouge1"),
                ("sft_bleu4", SFT_SINGLE_STAGE, SFT_PROGRESSIVE, "bleu4"),
            )
        ),
        _speedup_row(benchmark),
    ]


def pairs_to_compare(evaluations: Sequence[Evaluation]) -> list[tuple[Evaluation, Evaluation]]:
    """The pairs behind the overlap claims that these evaluations can make."""
    by_role = {one.role: one for one in evaluations}
    return [
        (by_role[before], by_role[after])
        for before, after in PAIRS
        if before in by_role and after in by_role
    ]


def claims_chart(rows: Sequence[ClaimRow]) -> Chart:
    """Our ratios with intervals beside the published ones."""
    published = [
        Point(
            value=(row.published.low + row.published.high) / 2,
            low=row.published.low,
            high=row.published.high,
        )
        for row in rows
    ]
    return Chart(
        key="published",
        title=_("Our ratios with their intervals beside the published ones"),
        figure=forest(
            [str(row.published.short) for row in rows],
            [
                Series(
                    name=_("Ours"),
                    points=[Point(value=row.value, low=row.low, high=row.high) for row in rows],
                ),
                Series(name=_("Published"), points=published, symbol="diamond-open"),
            ],
            x_title=_("ratio"),
            lines=[1.0],
        ),
        columns=(_("Claim"), _("Published"), _("Ours"), _("95% CI"), "n"),
        rows=[
            (row.published.title, row.published.text, row.ratio, row.interval, row.n)
            for row in rows
        ],
        note=_(
            "The published range of the speedup is drawn as a bar; it is a range over settings, "
            "not an interval."
        ),
    )


def _retention_row(base: Evaluation | None, cpt: Evaluation | None) -> ClaimRow:
    claim = CLAIMS["retention"]
    retention = cpt.figure("retention.accuracy") if cpt else None
    if cpt is None or not retention:
        reason = ROLE_LABELS[CPT] if cpt is None else _("general ability against the base")
        return ClaimRow(published=claim, reason=_missing(reason))
    micro, macro = retention["micro"], retention["macro"]
    low, high = bounds(micro["ratio_interval"])
    adjusted = interval(*bounds(macro["adjusted_ratio_interval"]), digits=3)
    return ClaimRow(
        published=claim,
        value=micro["ratio"],
        low=low,
        high=high,
        n=_("%(n)s questions") % {"n": micro["num_items"]},
        absolute=f"{percent(micro['base'])} \N{RIGHTWARDS ARROW} {percent(micro['new'])}",
        details=[
            _("above chance %(ratio)s %(interval)s")
            % {"ratio": ratio(macro["adjusted_ratio"]), "interval": adjusted},
            _("missing %(n)s") % {"n": retention["num_missing"]},
            _seed(cpt),
        ],
        definition=cpt.definitions.get("general_ability", ""),
        verdict=str(VERDICTS[retention["verdict"]][1]),
        rows_url=(
            compare_rows_url([base, cpt], task="general_ability", metric="is_correct")
            if base is not None
            else ""
        ),
    )


def _overlap_row(
    claim: Published,
    by_role: Mapping[str, Evaluation],
    baseline_role: str,
    candidate_role: str,
    key: str,
    stored: StoredPairs,
) -> ClaimRow:
    for role in (baseline_role, candidate_role):
        if role not in by_role:
            return ClaimRow(published=claim, reason=_missing(ROLE_LABELS[role]))
    baseline, candidate = by_role[baseline_role], by_role[candidate_role]
    pair_key = baseline.id, candidate.id
    pair = stored[Documents.ALL][pair_key]
    figure = pair.figure("text_overlap", "measures", key)
    if figure is None:
        reason = _("being computed") if pair.is_pending else _missing(pair.problem)
        return ClaimRow(published=claim, reason=reason)
    measure = MEASURES[key]
    low, high = bounds(figure["ratio_interval"])
    change = measured_interval(measure, *bounds(figure["difference_interval"]))
    details = [f"{difference(measure, figure['difference'])} {change}".strip()]
    unseen = stored[Documents.UNSEEN][pair_key].figure("text_overlap", "measures", key)
    if unseen is not None:
        details.append(
            _("documents not seen: %(ratio)s %(interval)s, n = %(n)s")
            % {
                "ratio": ratio(unseen["ratio"]),
                "interval": interval(*bounds(unseen["ratio_interval"]), digits=3),
                "n": unseen["n"],
            }
        )
    details += _length_details(baseline, candidate)
    missing = figure["missing"]
    if missing:
        details.append(_("missing %(n)s") % {"n": missing})
    return ClaimRow(
        published=claim,
        value=figure["ratio"],
        low=low,
        high=high,
        n=_("%(n)s questions") % {"n": figure["n"]},
        absolute=(
            f"{measured(measure, figure['baseline'])} \N{RIGHTWARDS ARROW} "
            f"{measured(measure, figure['candidate'])}"
        ),
        details=[*details, _seed(candidate)],
        definition=_signature(candidate, key),
        rows_url=compare_rows_url([baseline, candidate], task="text_overlap", metric=key),
    )


def _length_details(baseline: Evaluation, candidate: Evaluation) -> list[str]:
    def change(dotted: str, digits: int, scale: float = 1.0) -> str:
        values = [one.figure(f"text_overlap.{dotted}") for one in (baseline, candidate)]
        return " \N{RIGHTWARDS ARROW} ".join(
            decimal(None if value is None else scale * value, digits) for value in values
        )

    return [
        _("answer tokens %(change)s") % {"change": change("mean_answer_tokens", 1)},
        _("brevity penalty %(change)s") % {"change": change("brevity_penalty", 3)},
        _("cut at the cap %(change)s %%") % {"change": change("cut_at_cap_fraction", 1, 100.0)},
    ]


def _speedup_row(benchmark: Benchmark | None) -> ClaimRow:
    claim = CLAIMS["speedup"]
    if benchmark is None:
        return ClaimRow(published=claim, reason=_missing(_("a decoding benchmark")))
    headline = benchmark.figure("headline_arm")
    arm: Mapping[str, Any] = benchmark.figure(f"arms.{headline}") or {}
    plain: Mapping[str, Any] = benchmark.figure("arms.autoregressive") or {}
    speedup = arm.get("speedup")
    if not speedup:
        return ClaimRow(published=claim, reason=_missing(_("a timed answer")))
    lossless = benchmark.figure("losslessness.is_lossless")
    verdicts = {True: _("lossless"), False: _("NOT LOSSLESS"), None: _("losslessness not checked")}
    return ClaimRow(
        published=claim,
        value=speedup["value"],
        low=speedup["low"],
        high=speedup["high"],
        n=_("%(n)s prompts, %(repeats)s repeats")
        % {"n": speedup["n"], "repeats": benchmark.figure("num_repeats")},
        absolute=_("%(before)s \N{RIGHTWARDS ARROW} %(after)s tokens/s")
        % {
            "before": decimal(plain.get("tokens_per_second"), 1),
            "after": decimal(arm.get("tokens_per_second"), 1),
        },
        details=[
            arm_label(str(headline)),
            _("draft length %(n)s, %(tokens)s tokens per target step")
            % {
                "n": arm.get("num_speculative_tokens"),
                "tokens": decimal(arm.get("mean_acceptance_length")),
            },
            _("%(share)s of the oracle bound")
            % {"share": percent(arm.get("fraction_of_oracle_bound"), 0)},
            _seed(benchmark),
        ],
        definition=benchmark.definitions.get("speedup", ""),
        verdict=verdicts[lossless],
        rows_url=run_url(benchmark),
    )


def _signature(one: Evaluation, key: str) -> str:
    family = "bleu" if key == "bleu4" else "rouge"
    return str(one.figure(f"text_overlap.{family}_signature") or "")


def _seed(one: Evaluation | Benchmark) -> str:
    return _("seed %(seed)s") % {"seed": one.run.spec.get("seed")}


def _missing(what: object) -> str:
    return _("not measured in this plan: %(what)s") % {"what": what}
