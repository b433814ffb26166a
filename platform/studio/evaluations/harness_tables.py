"""Tasks of lm-evaluation-harness as tables: one for each thing that was asked."""

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pipeline.contracts.harness_tasks import HarnessMetric, HarnessTaskResults
from studio.evaluations.benchmark_tables import BenchmarkRow, BenchmarkTable
from studio.evaluations.results import Evaluation
from studio.measures.numbers import NONE, decimal


def harness_tables(evaluations: Sequence[Evaluation]) -> list[BenchmarkTable]:
    """A table for each task and setting, in the order they come up."""
    groups: dict[tuple[str, str], list[tuple[Evaluation, HarnessTaskResults]]] = {}
    for evaluation in evaluations:
        for found in evaluation.results.harness_tasks:
            key = (found.prompts_sha256, f"{found.task} {_setting(found)}")
            groups.setdefault(key, []).append((evaluation, found))
    return [_table(measured) for measured in groups.values()]


def _table(measured: Sequence[tuple[Evaluation, HarnessTaskResults]]) -> BenchmarkTable:
    first = measured[0][1]
    names = [_name(one) for one in first.metrics]
    return BenchmarkTable(
        title=first.task,
        setting=_setting(first),
        columns=names,
        rows=[
            BenchmarkRow(
                name=evaluation.label,
                run_id=evaluation.id,
                n=found.n,
                figures=[_figures(found).get(name, NONE) for name in names],
            )
            for evaluation, found in measured
        ],
    )


def _figures(found: HarnessTaskResults) -> dict[str, str]:
    return {_name(one): _figure(one) for one in found.metrics}


def _name(metric: HarnessMetric) -> str:
    return metric.metric if metric.filter == "none" else f"{metric.metric}, {metric.filter}"


def _figure(metric: HarnessMetric) -> str:
    if metric.standard_error is None:
        return decimal(metric.value, 4)
    return f"{decimal(metric.value, 4)} \N{PLUS-MINUS SIGN} {decimal(metric.standard_error, 4)}"


def _setting(found: HarnessTaskResults) -> str:
    shots = found.num_few_shot
    parts = [
        _("task of the harness, version %(version)s") % {"version": found.version or NONE},
        ngettext("%(num)d example", "%(num)d examples", shots) % {"num": shots},
        _("with the chat template") if found.chat_template else _("without a chat template"),
        found.harness,
    ]
    if found.n < found.num_items:
        parts.append(
            _("the first %(n)d of %(all)d questions") % {"n": found.n, "all": found.num_items}
        )
    return " \N{MIDDLE DOT} ".join(parts)
