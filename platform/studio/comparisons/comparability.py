"""May these results be compared at all? Answered before any number is shown.

Rows are paired only when their question is the same text, so a different data set cannot mix
questions; it leaves items unpaired, which count as missing. Different definitions or decoding
settings change what a score means: differences are then shown, but nothing is concluded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pipeline.contracts.references import RowFilter
from pipeline.contracts.samples import TASKS, Task
from studio.comparisons.chosen import Comparison
from studio.evaluations.overlap_figures import share_cut
from studio.evaluations.results import Evaluation
from studio.evaluations.stored_figures import StoredPairs
from studio.measures.labels import TASK_LABELS
from studio.measures.numbers import percent

ValueT = TypeVar("ValueT")


class Level(StrEnum):
    """What a check found."""

    SAME = "same"
    WARNING = "warning"
    """Worth knowing; the comparison stands."""
    DIFFERENT = "different"
    """Nothing may be concluded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that has to agree."""

    level: Level
    label: str | Promise
    detail: str = ""
    task: Task | None = None
    is_always_shown: bool = False
    """Also when it agrees: how many questions are paired."""

    @property
    def is_shown(self) -> bool:
        return self.is_always_shown or self.level != Level.SAME


@dataclass(frozen=True, kw_only=True, slots=True)
class RowsAsked:
    """Which rows of which data set an evaluation asked."""

    digest: str | None
    where: Sequence[RowFilter]
    limit: int | None


def run_checks(comparison: Comparison, stored: StoredPairs) -> list[Check]:
    """Every check, those of each measured task first."""
    checks = []
    for task in TASKS:
        if any(one.measured(task) is not None for one in comparison.evaluations):
            checks += _task_checks(comparison, stored, task)
    return [*checks, *_environment_checks(comparison.evaluations)]


def undecidable_tasks(checks: Sequence[Check]) -> set[Task]:
    """Tasks of which nothing may be concluded."""
    return {
        check.task for check in checks if check.level == Level.DIFFERENT and check.task is not None
    }


def _task_checks(comparison: Comparison, stored: StoredPairs, task: Task) -> list[Check]:
    name = TASK_LABELS[task]
    evaluations = comparison.evaluations
    absent = [one.label for one in evaluations if one.measured(task) is None]
    if absent:
        detail = _("not measured for %(names)s") % {"names": ", ".join(absent)}
        return [Check(level=Level.DIFFERENT, label=name, detail=detail, task=task)]

    checks = [
        _agreement(
            _("%(task)s: data set and rows") % {"task": name},
            evaluations,
            lambda one: _rows_asked(one, task),
            task=task,
            level=Level.WARNING,
            shown=_shown_rows,
        ),
        _agreement(
            _("%(task)s: definitions") % {"task": name},
            evaluations,
            lambda one: _definition(one, task),
            task=task,
        ),
    ]
    if task == "text_overlap":
        checks.append(
            _agreement(
                _("Decoding: greedy, token limit"),
                evaluations,
                lambda one: one.answer_cap,
                task=task,
                shown=lambda limit: _("%(n)s tokens") % {"n": limit},
            )
        )
        checks.append(_cut_answers(evaluations))
    return [
        *checks,
        *(_pairing(comparison.baseline, one, stored, task) for one in comparison.candidates),
    ]


def _cut_answers(evaluations: Sequence[Evaluation]) -> Check:
    found = [(one.label, share) for one in evaluations if (share := share_cut(one)) is not None]
    label = _("Answers cut at the token limit")
    if not found:
        return Check(level=Level.SAME, label=label, detail=_("few or none"))
    shares = ", ".join(f"{name} {percent(share)}" for name, share in found)
    detail = _("%(shares)s: the limit, not the model, decided how much these answers say")
    return Check(level=Level.WARNING, label=label, detail=detail % {"shares": shares})


def _pairing(baseline: Evaluation, one: Evaluation, stored: StoredPairs, task: Task) -> Check:
    label = _("%(task)s: questions of %(name)s paired with the baseline's") % {
        "task": TASK_LABELS[task],
        "name": one.label,
    }
    found = stored[baseline.id, one.id]
    if found.is_pending:
        return Check(level=Level.WARNING, label=label, detail=_("being computed"))
    pair = None if found.figures is None else found.figures.tasks.get(task)
    if pair is None:
        return Check(level=Level.DIFFERENT, label=label, detail=found.problem, task=task)
    total = pair.num_baseline + pair.num_candidate - pair.num_paired - pair.num_conflicting
    detail = _("%(paired)s of %(total)s") % {"paired": pair.num_paired, "total": total}
    missing = total - pair.num_paired
    if not missing:
        return Check(level=Level.SAME, label=label, detail=detail, is_always_shown=True)
    detail += "; " + ngettext(
        "%(n)s is missing on one side and does not pass",
        "%(n)s are missing on one side and do not pass",
        missing,
    ) % {"n": missing}
    if pair.num_conflicting:
        detail += "; " + ngettext(
            "%(n)s has the same id but another question",
            "%(n)s have the same id but another question",
            pair.num_conflicting,
        ) % {"n": pair.num_conflicting}
    level = Level.WARNING if pair.num_paired else Level.DIFFERENT
    return Check(level=level, label=label, detail=detail, task=task)


def _environment_checks(evaluations: Sequence[Evaluation]) -> list[Check]:
    def packages(one: Evaluation) -> str:
        versions = one.environment.packages
        return ", ".join(f"{name} {versions.get(name)}" for name in ("torch", "transformers"))

    def hardware(one: Evaluation) -> str:
        environment = one.environment
        return f"{environment.processor}, {environment.device}, {environment.dtype}"

    found: list[tuple[str, Callable[[Evaluation], str]]] = [
        (_("Engine"), lambda one: str(one.definitions.get("engine"))),
        (_("Hardware and number type"), hardware),
        (_("Libraries"), packages),
        (_("Code version"), lambda one: one.report.code_version),
    ]
    return [
        _agreement(label, evaluations, read, level=Level.WARNING, shown=str)
        for label, read in found
    ]


def _agreement(
    label: str,
    evaluations: Sequence[Evaluation],
    read: Callable[[Evaluation], ValueT],
    *,
    task: Task | None = None,
    level: Level = Level.DIFFERENT,
    shown: Callable[[ValueT], str] = str,
) -> Check:
    values = [read(one) for one in evaluations]
    if all(value == values[0] for value in values):
        return Check(level=Level.SAME, label=label, detail=shown(values[0]), task=task)
    detail = "; ".join(
        f"{one.label}: {shown(value)}" for one, value in zip(evaluations, values, strict=True)
    )
    return Check(level=level, label=label, detail=detail, task=task)


def _definition(one: Evaluation, task: Task) -> str:
    if task == "general_ability":
        return one.definitions.get(task, "")
    overlap = one.results.text_overlap
    if overlap is None:
        return ""
    return f"{overlap.rouge_signature} \N{MIDDLE DOT} {overlap.bleu_signature}"


def _rows_asked(one: Evaluation, task: Task) -> RowsAsked:
    settings = one.spec.text_overlap if task == "text_overlap" else one.spec.general_ability
    if settings is None:
        return RowsAsked(digest=None, where=(), limit=None)
    dataset = settings.dataset
    return RowsAsked(digest=dataset.digest, where=dataset.where, limit=dataset.limit)


def _shown_rows(rows: RowsAsked) -> str:
    text = rows.digest[:12] if rows.digest else _("no digest")
    if rows.where:
        text += ", " + _("filtered")
    return text + (f", {rows.limit} " + _("rows at most") if rows.limit else "")
