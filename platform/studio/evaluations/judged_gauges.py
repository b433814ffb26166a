"""How far a checkpoint moved from its base on text the base wrote, in words: retention's primary
measure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pipeline.contracts.estimates import FEW_UNITS
from pipeline.contracts.gauge_results import GaugeReason, GaugeResults, GaugeVerdict
from studio.evaluations.results import Evaluation
from studio.evaluations.retained import VERDICTS
from studio.measures.numbers import decimal, few_units, interval, ratio_estimate

GAUGE_REASONS: Mapping[GaugeReason, Promise] = {
    GaugeReason.INTERVAL: gettext_lazy("the interval lies on one side of the margin"),
    GaugeReason.INTERVAL_CROSSES_MARGIN: gettext_lazy("the interval crosses the margin"),
    GaugeReason.TOO_FEW_PASSAGES: gettext_lazy("too few passages to judge by"),
    GaugeReason.IDENTICAL: gettext_lazy("every prediction is the base's own"),
}
_DIGITS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedGauge:
    """One checkpoint with the verdict on its divergence."""

    evaluation: Evaluation
    gauge: GaugeResults
    judged: GaugeVerdict

    @property
    def tone(self) -> str:
        return VERDICTS[self.judged.verdict][0]

    @property
    def verdict_label(self) -> Promise:
        return VERDICTS[self.judged.verdict][1]

    @property
    def sentence(self) -> str:
        """Why the verdict is what it is, and what would settle it."""
        text = str(GAUGE_REASONS[self.judged.reason])
        needed = self.judged.passages_needed
        if self.judged.reason is GaugeReason.TOO_FEW_PASSAGES:
            text += " " + _("(nothing is decided below %(n)s passages)") % {"n": FEW_UNITS}
        elif needed is not None:
            text += " " + ngettext(
                "(about %(n)s passage of this kind would settle it)",
                "(about %(n)s passages of this kind would settle it)",
                needed,
            ) % {"n": f"{needed:,}"}
        return text

    @property
    def margin(self) -> str:
        return _("%(value)s bits per byte") % {"value": decimal(self.judged.margin, 3)}

    @property
    def divergence(self) -> str:
        return bits(self.judged.kl_bits_per_byte.value)

    @property
    def interval(self) -> str:
        """The one the verdict rests on; empty where there is none."""
        return interval(self.judged.kl_bits_per_byte, digits=_DIGITS)

    @property
    def ratio(self) -> str:
        """Bits per byte beside the base's, with its interval."""
        return ratio_estimate(self.judged.bits_per_byte_ratio)

    @property
    def size(self) -> str:
        """Texts, and the passages drawn of them."""
        found = self.judged.kl_bits_per_byte
        return _("%(texts)s texts of %(passages)s passages") % {
            "texts": f"{found.n:,}",
            "passages": f"{found.num_units:,}",
        }

    @property
    def few_units(self) -> str:
        """The mark of an interval that rests on few passages; else empty."""
        return few_units(self.judged.kl_bits_per_byte.num_units)


def bits(value: float | None) -> str:
    """A divergence in bits per byte, without its unit."""
    return decimal(value, _DIGITS)


def judged_gauge(one: Evaluation) -> JudgedGauge | None:
    """None where no margin was fixed, or the report is older than the verdict."""
    gauge = one.results.gauge
    if gauge is None or gauge.judged is None:
        return None
    return JudgedGauge(evaluation=one, gauge=gauge, judged=gauge.judged)


def judged_gauges(evaluations: Sequence[Evaluation]) -> list[JudgedGauge]:
    """The checkpoints that were judged; of the base itself nothing has to be."""
    found = (judged_gauge(one) for one in evaluations if not one.is_of_base)
    return [one for one in found if one is not None]
