"""Figures of the replication in words: units, intervals, the four words, the advice on replay."""

import math
from collections.abc import Mapping

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.gauge_results import GaugeVerdict
from pipeline.contracts.samples import MEASURES, Unit
from pipeline.contracts.verdicts import Verdict
from pipeline.metrics.decisions import Doubt, Word
from pipeline.metrics.noninferiority import MIN_UNITS
from pipeline.replication.arms import DOSES
from pipeline.replication.results import Compared, Judgement, PartResults

NONE = "-"
_BY_KEY = {measure.key: measure for measure in MEASURES}
_SHOWN: Mapping[Unit, tuple[float, int, str]] = {
    "points": (1.0, 2, ""),
    "percent": (100.0, 1, "%"),
    "tokens": (1.0, 1, ""),
    "bits_per_byte": (1.0, 4, ""),
}
"""By unit: the factor, the digits behind the point, and what stands after it."""
_WORDS: Mapping[Word, str] = {
    Word.BETTER: "better",
    Word.WORSE: "worse",
    Word.EQUIVALENT: "equivalent within the margin",
    Word.NOT_DECIDED: "not decided",
}


def shown(measure: str, value: float | None, *, signed: bool = False) -> str:
    """A value in the unit people read: shares as percent."""
    if value is None:
        return NONE
    factor, digits, sign = _SHOWN[_BY_KEY[measure].unit]
    return f"{factor * value:{'+' if signed else ''}.{digits}f}{sign}"


def shown_range(measure: str, low: float | None, high: float | None) -> str:
    """Two bounds of a difference."""
    if low is None or high is None:
        return NONE
    return f"{shown(measure, low, signed=True)} ... {shown(measure, high, signed=True)}"


def interval(estimate: Estimate | None, digits: int = 3) -> str:
    """`0.950 ... 1.102`, or a dash where there is no interval."""
    if estimate is None or estimate.interval is None:
        return NONE
    low, high, _level = estimate.interval
    return f"{low:.{digits}f} ... {high:.{digits}f}"


def number_of(compared: Compared) -> str:
    """`96 questions (90 units)`: of one seed, and what the interval resamples."""
    questions = compared.mean.n // len(compared.by_seed)
    units = compared.mean.num_units
    return f"{questions} questions" + (f" ({units} units)" if units != questions else "")


def word_of(compared: Compared) -> str:
    """The word with what qualifies it."""
    judgement = compared.judgement
    if judgement is None:
        return "describes"
    word = _WORDS[judgement.word]
    if judgement.word is Word.EQUIVALENT and judgement.is_real:
        return f"{word} (small but real)"
    if judgement.word is not Word.NOT_DECIDED:
        return word
    if judgement.doubt is Doubt.TOO_FEW_UNITS:
        return f"{word}: below {MIN_UNITS} units"
    if judgement.doubt is Doubt.MISSING:
        return f"{word}: {compared.mean.missing} missing"
    needed = questions_needed(compared, judgement)
    return word if needed is None else f"{word}; about {needed:,} questions would show it"


def rank(compared: Compared) -> int:
    """What a reader must see first has the least."""
    order = (Word.WORSE, Word.BETTER, Word.EQUIVALENT, Word.NOT_DECIDED)
    return len(order) if compared.judgement is None else order.index(compared.judgement.word)


def questions_needed(compared: Compared, judgement: Judgement) -> int | None:
    """Questions at which the interval would leave out 0; as `PairedFigure.items_to_settle`.

    Of one seed, rounded up to two digits: more would be pretended.
    """
    if judgement.low is None or judgement.high is None:
        return None
    needed = compared.mean.items_to_settle(judgement.low, judgement.high)
    return None if needed is None else _two_digits(needed / len(compared.by_seed))


def _two_digits(number: float) -> int:
    unit = 10 ** max(math.floor(math.log10(max(number, 1))) - 1, 0)
    return math.ceil(number / unit) * unit


def verdict_of(judged: GaugeVerdict | None) -> str:
    """The gauge's verdict, and what would settle one that is none."""
    if judged is None:
        return "no margin was fixed"
    if judged.verdict is not Verdict.INCONCLUSIVE:
        return judged.verdict.value
    if judged.passages_needed is None:
        return f"{judged.verdict.value}; on the margin"
    return f"{judged.verdict.value}; about {judged.passages_needed:,} passages would settle it"


def judged_doses(part: PartResults) -> dict[float, GaugeVerdict]:
    """The verdict at each share of replay that was measured and has one."""
    found: dict[float, GaugeVerdict] = {}
    for key, share in DOSES.items():
        checkpoint = part.checkpoint(key)
        gauge = None if checkpoint is None else checkpoint.evaluation.gauge
        if gauge is not None and gauge.judged is not None:
            found[share] = gauge.judged
    return found


def dose_advice(judged: Mapping[float, GaugeVerdict]) -> str:
    """Which share of replay to take, as far as these runs can say.

    Args:
        judged: by share of replay.
    """
    if not judged:
        return "None: no margin was fixed for the gauge."
    of = {
        verdict: [share for share, one in judged.items() if one.verdict is verdict]
        for verdict in Verdict
    }
    if of[Verdict.PASS]:
        least = min(of[Verdict.PASS])
        advice = f"Take {least:.0%} replay: the smallest share whose verdict is PASS."
        against = [f"{share:.0%}" for share in of[Verdict.FAIL] if share > least]
        if against:
            advice += f" With {' and '.join(against)} it is FAIL: these runs contradict each other."
        return advice
    if of[Verdict.INCONCLUSIVE]:
        needs = [
            f"{judged[share].passages_needed:,} passages for {share:.0%}"
            if judged[share].passages_needed is not None
            else f"no number of passages for {share:.0%}, which lies on the margin"
            for share in of[Verdict.INCONCLUSIVE]
        ]
        return f"No share passes yet; what would settle it: {'; '.join(needs)}."
    least = min(judged, key=lambda share: judged[share].kl_bits_per_byte.value)
    moved = judged[least].kl_bits_per_byte.value
    said = (
        f"Every share up to {max(judged):.0%} fails: at {least:.0%}, the least, the model moved "
        f"{moved / judged[least].margin:.1f} times the margin. Lower the learning rate or the "
        "number of tokens"
    )
    if least == max(judged):
        return f"{said}, or replay more."
    return f"{said}: with more replay than {least:.0%} the model moved no less."
