"""Known benchmarks as tables: one for each thing that was asked, a row for each checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pipeline.contracts.evaluation_results import (
    BenchmarkFigure,
    BenchmarkFigureName,
    BenchmarkResults,
)
from studio.evaluations.dashboards import Absences
from studio.evaluations.results import Evaluation

FIGURE_LABELS: Mapping[BenchmarkFigureName, Promise] = MappingProxyType(
    {
        "acc": gettext_lazy("Accuracy"),
        "acc_norm": gettext_lazy("Accuracy per character"),
        "exact_match_strict": gettext_lazy("Exact match (strict)"),
        "exact_match_flexible": gettext_lazy("Exact match (flexible)"),
        "no_number": gettext_lazy("Answers without a number"),
    }
)
_FORMS: Mapping[str, Promise] = MappingProxyType(
    {
        "letter": gettext_lazy("letters"),
        "full_answer": gettext_lazy("full answers"),
        "number": gettext_lazy("generated numbers"),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkRow:
    """A checkpoint on a benchmark, or one category of it."""

    name: str
    run_id: str
    """Empty for a category."""
    n: int
    figures: Sequence[str]
    """In the order of the table's columns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkTable:
    """Everything that was asked the same: equal prompts, options and settings."""

    title: str
    setting: str
    columns: Sequence[str]
    rows: Sequence[BenchmarkRow]


def benchmark_tables(evaluations: Sequence[Evaluation]) -> list[BenchmarkTable]:
    """A table for each benchmark and setting, in the order they come up."""
    groups: dict[tuple[str, str], list[tuple[Evaluation, BenchmarkResults]]] = {}
    for evaluation in evaluations:
        for found in evaluation.results.benchmarks:
            groups.setdefault((found.prompts_sha256, _setting(found)), []).append(
                (evaluation, found)
            )
    return [_table(measured) for measured in groups.values()]


def absences(evaluations: Sequence[Evaluation]) -> Absences:
    """Evaluations that asked no benchmark."""
    reason = _("it measured no benchmark")
    return [
        (one.label, reason)
        for one in evaluations
        if not (one.results.benchmarks or one.results.harness_tasks)
    ]


def _table(measured: Sequence[tuple[Evaluation, BenchmarkResults]]) -> BenchmarkTable:
    first = measured[0][1]
    keys = list(first.figures)
    rows = []
    for evaluation, found in measured:
        rows.append(
            BenchmarkRow(
                name=evaluation.label,
                run_id=evaluation.id,
                n=found.n,
                figures=[_percent(found.figures[key]) for key in keys],
            )
        )
        if len(found.categories) > 1:
            rows += [
                BenchmarkRow(
                    name=part.category or _("without a category"),
                    run_id="",
                    n=part.n,
                    figures=[_percent(part.figures[key]) for key in keys],
                )
                for part in found.categories
            ]
    return BenchmarkTable(
        title=first.benchmark or _("Questions of one's own"),
        setting=_setting(first),
        columns=[str(FIGURE_LABELS[key]) for key in keys],
        rows=rows,
    )


def asked_as(*, form: str, num_few_shot: int, chat_template: bool) -> list[str]:
    """How a benchmark was asked, in words."""
    return [
        str(_FORMS[form]),
        ngettext("%(num)d example", "%(num)d examples", num_few_shot) % {"num": num_few_shot},
        _("with the chat template") if chat_template else _("without a chat template"),
    ]


def _setting(found: BenchmarkResults) -> str:
    asked = asked_as(
        form=found.form, num_few_shot=found.num_few_shot, chat_template=found.chat_template
    )
    parts = [*asked, found.harness]
    if found.chance is not None:
        parts.append(_("guessing gives %(percent).1f%%") % {"percent": 100 * found.chance})
    return " · ".join(parts)


def _percent(figure: BenchmarkFigure) -> str:
    value = f"{100 * figure.value:.1f}%"
    return (
        value if figure.standard_error is None else f"{value} ± {100 * figure.standard_error:.1f}"
    )
