"""May these results be compared at all? Answered before any number is shown.

Rows are paired only when their question is the same text, so a different data set cannot mix
questions; it leaves items unpaired, which count as missing. Different definitions or decoding
settings change what a score means: differences are then shown, but nothing is concluded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from studio.comparisons.chosen import Comparison
from studio.evaluations.measures import TASK_LABELS
from studio.evaluations.results import Evaluation
from studio.evaluations.sample_files import TASKS, Task
from studio.evaluations.stored_figures import PairKey, StoredFigures

Stored = Mapping[PairKey, StoredFigures]


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


def run_checks(comparison: Comparison, stored: Stored) -> list[Check]:
    """Every check, those of each measured task first."""
    checks = []
    for task in TASKS:
        if any(one.figure(task) is not None for one in comparison.evaluations):
            checks += _task_checks(comparison, stored, task)
    return [*checks, *_environment_checks(comparison.evaluations)]


def undecidable_tasks(checks: Sequence[Check]) -> set[Task]:
    """Tasks of which nothing may be concluded."""
    return {
        check.task for check in checks if check.level == Level.DIFFERENT and check.task is not None
    }


def _task_checks(comparison: Comparison, stored: Stored, task: Task) -> list[Check]:
    name = TASK_LABELS[task]
    evaluations = comparison.evaluations
    absent = [one.label for one in evaluations if one.figure(task) is None]
    if absent:
        detail = _("not measured for %(names)s") % {"names": ", ".join(absent)}
        return [Check(level=Level.DIFFERENT, label=name, detail=detail, task=task)]

    def settings(one: Evaluation) -> Mapping[str, Any]:
        return one.run.spec.get(task) or {}

    def dataset(one: Evaluation) -> tuple[object, ...]:
        named = settings(one).get("dataset") or {}
        return named.get("digest"), repr(named.get("where") or []), named.get("limit")

    checks = [
        _agreement(
            _("%(task)s: data set and rows") % {"task": name},
            evaluations,
            dataset,
            task=task,
            level=Level.WARNING,
            shown=_short_digest,
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
                lambda one: settings(one).get("max_new_tokens"),
                task=task,
                shown=lambda limit: _("%(n)s tokens") % {"n": limit},
            )
        )
    return [
        *checks,
        *(_pairing(comparison.baseline, one, stored, task) for one in comparison.candidates),
    ]


def _pairing(baseline: Evaluation, one: Evaluation, stored: Stored, task: Task) -> Check:
    label = _("%(task)s: questions of %(name)s paired with the baseline's") % {
        "task": TASK_LABELS[task],
        "name": one.label,
    }
    pair = stored[baseline.id, one.id]
    if pair.is_pending:
        return Check(level=Level.WARNING, label=label, detail=_("being computed"))
    counts = pair.figure(task)
    if counts is None:
        return Check(level=Level.DIFFERENT, label=label, detail=pair.problem, task=task)
    total = counts["num_baseline"] + counts["num_candidate"] - counts["num_paired"]
    total -= counts["num_conflicting"]
    detail = _("%(paired)s of %(total)s") % {"paired": counts["num_paired"], "total": total}
    missing = total - counts["num_paired"]
    if not missing:
        return Check(level=Level.SAME, label=label, detail=detail, is_always_shown=True)
    detail += "; " + ngettext(
        "%(n)s is missing on one side and does not pass",
        "%(n)s are missing on one side and do not pass",
        missing,
    ) % {"n": missing}
    if counts["num_conflicting"]:
        detail += "; " + ngettext(
            "%(n)s has the same id but another question",
            "%(n)s have the same id but another question",
            counts["num_conflicting"],
        ) % {"n": counts["num_conflicting"]}
    level = Level.WARNING if counts["num_paired"] else Level.DIFFERENT
    return Check(level=level, label=label, detail=detail, task=task)


def _environment_checks(evaluations: Sequence[Evaluation]) -> list[Check]:
    def packages(one: Evaluation) -> str:
        versions = one.environment.get("packages", {})
        return ", ".join(f"{name} {versions.get(name)}" for name in ("torch", "transformers"))

    def hardware(one: Evaluation) -> str:
        names = (one.environment.get(name) for name in ("processor", "device", "dtype"))
        return ", ".join(str(name) for name in names)

    found = [
        (_("Engine"), lambda one: one.definitions.get("engine")),
        (_("Hardware and number type"), hardware),
        (_("Libraries"), packages),
        (_("Code version"), lambda one: one.report.get("code_version")),
    ]
    return [
        _agreement(label, evaluations, read, level=Level.WARNING, shown=str)
        for label, read in found
    ]


def _agreement(
    label: str,
    evaluations: Sequence[Evaluation],
    read: Callable[[Evaluation], object],
    *,
    task: Task | None = None,
    level: Level = Level.DIFFERENT,
    shown: Callable[[Any], str] = str,
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
    signatures = (one.figure(f"{task}.{name}_signature") for name in ("rouge", "bleu"))
    return " \N{MIDDLE DOT} ".join(str(signature) for signature in signatures)


def _short_digest(dataset: tuple[object, ...]) -> str:
    digest, where, limit = dataset
    text = str(digest)[:12] if digest else _("no digest")
    if where != "[]":
        text += ", " + _("filtered")
    return text + (f", {limit} " + _("rows at most") if limit else "")
