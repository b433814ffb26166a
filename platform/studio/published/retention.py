"""Retention beside the paper's 99.8%: the gauge decides, the questions are the second witness."""

from django.utils.translation import gettext as _

from pipeline.contracts.claims import ClaimRow
from studio.evaluations.judged_gauges import bits, judged_gauge
from studio.evaluations.retained import Retained
from studio.measures.numbers import ARROW, percent, ratio_estimate
from studio.published.asides import Aside, evaluation_seed, training_seeds
from studio.published.measured import Measured
from studio.published.words import ClaimFamily


def retention_aside(row: ClaimRow, found: Measured, family: ClaimFamily) -> Aside | None:
    """How far the CPT checkpoint moved from its base; None where that was not judged."""
    cpt = found.evaluations.get("cpt")
    gauge = None if cpt is None else judged_gauge(cpt)
    if cpt is None or gauge is None:
        return None
    return Aside(
        n=gauge.size,
        absolute=_("%(change)s bits per byte")
        % {"change": bits(row.before) + ARROW + bits(row.after)},
        details=[
            _("KL(base || model) on text the base wrote; lower is better"),
            _("in other words %(ratio)s the bits per byte of the base: not the same measure as the "
              "published one, whose definition is not published") % {"ratio": gauge.ratio},
            *witness(found),
            *training_seeds(cpt),
            evaluation_seed(cpt),
        ],
        definition=cpt.definitions.get("gauge", ""),
        verdict=_("%(verdict)s at a margin of %(margin)s: %(reason)s")
        % {
            "verdict": gauge.verdict_label,
            "margin": gauge.margin,
            "reason": gauge.sentence,
        },
    )  # fmt: skip


def witness(found: Measured) -> list[str]:
    """What the multiple-choice questions say of the same checkpoint; empty without them."""
    cpt, base = found.evaluations.get("cpt"), found.evaluations.get("base")
    if cpt is None or cpt.results.retention is None:
        return []
    retention = cpt.results.retention.accuracy
    judged = Retained(evaluation=cpt, baseline=base, retention=retention)
    macro, micro = retention.macro, retention.micro
    kept = (
        _("no ratio: the base hardly does better than guessing")
        if macro.adjusted_ratio is None
        else _("kept above chance %(ratio)s") % {"ratio": ratio_estimate(macro.adjusted_ratio)}
    )
    return [
        _("second witness, %(n)s questions in %(units)s units: accuracy %(change)s, %(kept)s; "
          "%(verdict)s at a margin of %(margin)s: %(reason)s")
        % {
            "n": micro.num_items,
            "units": micro.num_units,
            "change": percent(macro.base) + ARROW + percent(macro.new),
            "kept": kept,
            "verdict": judged.verdict_label,
            "margin": judged.margin,
            "reason": judged.sentence,
        },
        _("missing %(n)s") % {"n": retention.num_missing},
    ]  # fmt: skip
