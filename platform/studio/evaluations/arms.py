"""The arms of a decoding benchmark in the reader's words."""

from django.utils.translation import gettext as _

from pipeline.contracts.decoding_results import ArmResults, Prediction
from studio.evaluations.results import Benchmark
from studio.measures.numbers import decimal

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


def prediction_words(prediction: Prediction) -> str:
    """What the probe said; where it did not say that the arm pays, what would have to change."""
    verdict = {
        "pays": _("pays"),
        "does_not_pay": _("does not pay"),
        "undecided": _("undecided"),
    }[prediction.verdict]
    if prediction.verdict == "pays":
        return verdict
    changes = [
        _("tokens a round %(now)s \N{RIGHTWARDS ARROW} %(needed)s")
        % {
            "now": decimal(prediction.tokens_per_round),
            "needed": decimal(prediction.round_cost),
        },
        _("cost of a round %(now)s \N{RIGHTWARDS ARROW} %(needed)s")
        % {
            "now": decimal(prediction.round_cost),
            "needed": decimal(prediction.tokens_per_round),
        },
    ]
    if prediction.needed_c is not None:
        changes.append(f"c \N{RIGHTWARDS ARROW} {decimal(prediction.needed_c, 3)}")
    if prediction.needed_v is not None:
        changes.append(
            f"v {decimal(prediction.mean_v)} \N{RIGHTWARDS ARROW} {decimal(prediction.needed_v)}"
        )
    return _("%(verdict)s; as fast as plain decoding with one of: %(changes)s") % {
        "verdict": verdict,
        "changes": ", ".join(changes),
    }


def prompts_by_repeats(benchmark: Benchmark, arm: ArmResults) -> str:
    """How much was timed for the arm's speedup."""
    timed = 0 if arm.speedup is None else arm.speedup.n
    return f"{timed} \N{MULTIPLICATION SIGN} {benchmark.results.num_repeats}"
