"""Whether each arm of a decoding benchmark pays: what was measured, and what was said before."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from pipeline.contracts.claims import Words
from pipeline.contracts.decoding_results import ArmResults
from pipeline.contracts.speedup_words import (
    REASONS,
    VERDICTS,
    Verdict,
    change_words,
    measured_verdict,
)
from studio.evaluations.arms import speculative_arms
from studio.evaluations.results import Benchmark
from studio.measures.numbers import speedup

_TONES: Mapping[Verdict, str] = {
    "pays": "success",
    "does_not_pay": "danger",
    "undecided": "warning",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedArm:
    """One arm; what the template of a verdict needs."""

    label: str
    arm: ArmResults
    verdict: Verdict

    @property
    def tone(self) -> str:
        return _TONES[self.verdict]

    @property
    def verdict_label(self) -> str:
        return _here(VERDICTS[self.verdict])

    @property
    def reason(self) -> str:
        return _here(REASONS[self.verdict])

    @property
    def measured(self) -> str:
        return speedup(self.arm.speedup)

    @property
    def predicted(self) -> str:
        """The prediction, its verdict and what it hangs on; empty where nothing was predicted."""
        prediction = self.arm.prediction
        if prediction is None:
            return ""
        said = _("%(speedup)s, %(verdict)s") % {
            "speedup": speedup(prediction.speedup),
            "verdict": _here(VERDICTS[prediction.verdict]),
        }
        changes = change_words(prediction, self.arm.costs.c if self.arm.costs else 0.0)
        if changes is None:
            return said
        return _("%(said)s; %(changes)s") % {"said": said, "changes": _here(changes)}


def judged_arms(benchmark: Benchmark) -> list[JudgedArm]:
    """Every timed arm, the headline first."""
    return [
        JudgedArm(label=label, arm=arm, verdict=measured_verdict(arm.speedup))
        for label, arm in speculative_arms(benchmark)
        if arm.speedup is not None
    ]


def _here(words: Words) -> str:
    return words.in_language(get_language() or "")
