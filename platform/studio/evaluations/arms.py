"""The arms of a decoding benchmark in the reader's words."""

from django.utils.translation import gettext as _

from pipeline.contracts.decoding_results import ArmResults
from studio.evaluations.results import Benchmark
from studio.measures.numbers import NONE

PLAIN = "autoregressive"


def arm_label(name: str) -> str:
    """The arm in the reader's language; other names are their authors'."""
    return {
        PLAIN: _("without speculation"),
        "ngram": _("n-gram lookup"),
        "store": _("lookup in stored answers"),
        "combined": _("lookup, else a draft"),
        "distilled": _("distilled draft"),
        "control_target_text": _("control: target's own text"),
        "control_gold": _("control: gold answers"),
    }.get(name, name)


def speculative_arms(benchmark: Benchmark) -> list[tuple[str, ArmResults]]:
    """(label, figures) of every arm but the plain one, the headline first."""
    results = benchmark.results
    names = [name for name in results.arms if name != PLAIN]
    names.sort(key=lambda name: name != results.headline_arm)
    return [(arm_label(name), results.arms[name]) for name in names]


def is_lossless(benchmark: Benchmark) -> bool | None:
    """None where no arm's answers were compared with the target's own."""
    losslessness = benchmark.results.losslessness
    return None if losslessness is None else losslessness.is_lossless


def prompts_by_repeats(benchmark: Benchmark, arm: ArmResults) -> str:
    """How much was timed for the arm's speedup."""
    timed = 0 if arm.speedup is None else arm.speedup.n
    return f"{timed} \N{MULTIPLICATION SIGN} {benchmark.results.num_repeats}"


def yes_or_no(answer: bool | None) -> str:
    """A dash where nobody can say."""
    return NONE if answer is None else _("yes") if answer else _("no")
