"""The tables of the decoding dashboard: absolute figures, and the counts behind the verdict."""

from collections.abc import Mapping, Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.contracts.decoding_results import ArmResults, LosslessnessCounts
from studio.evaluations.arms import arm_label, yes_or_no
from studio.evaluations.results import Benchmark
from studio.measures.numbers import NONE, count, decimal, percent

_COUNT_LABELS: Mapping[str, Promise] = {
    "is_lossless": gettext_lazy("Lossless"),
    "num_prompts": gettext_lazy("Prompts"),
    "num_identical": gettext_lazy("Identical"),
    "num_near_ties": gettext_lazy("Near ties"),
    "largest_gap": gettext_lazy("Largest logit gap"),
}


def throughput_rows(benchmark: Benchmark) -> list[Sequence[object]]:
    """Absolute figures of every arm, plain decoding first."""
    return [
        (
            arm_label(name),
            decimal(arm.prefill_seconds, 3),
            decimal(_milliseconds_per_token(arm), 1),
            decimal(arm.prefill_seconds + arm.decode_seconds, 2),
            decimal(arm.tokens_per_second, 1),
            decimal(arm.mean_acceptance_length),
            decimal(arm.block_efficiency),
            percent(arm.draft_acceptance_rate),
            count(arm.num_output_tokens),
            count(arm.num_parameters),
        )
        for name, arm in benchmark.results.arms.items()
    ]


def _milliseconds_per_token(arm: ArmResults) -> float | None:
    """Of the tokens after the first; None where no answer had any."""
    return 1000.0 / arm.tokens_per_second if arm.tokens_per_second else None


def losslessness_rows(benchmark: Benchmark) -> tuple[list[str], list[Sequence[object]]]:
    """Columns and rows of the counts behind the losslessness verdict.

    A count that has no words here stands under the report's own name: nothing is lost.
    """
    checked = benchmark.results.losslessness
    if checked is None:
        return [], []
    counted = [(arm_label(name), counts) for name, counts in checked.arms.items()]
    counted.append((_("plain decoding, batch 1 against 8"), checked.autoregressive_batch_1_vs_8))
    names = list(LosslessnessCounts.model_fields)
    rows: list[Sequence[object]] = [
        (label, *(_cell(value) for _name, value in counts)) for label, counts in counted
    ]
    return [str(_COUNT_LABELS.get(name, name)) for name in names], rows


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return yes_or_no(value)
    return f"{value:g}" if isinstance(value, int | float) else NONE
