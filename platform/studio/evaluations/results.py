"""Finished evaluations and decoding benchmarks as the pages read them.

A report is read by dotted paths and a figure that a report lacks is None: an older run may not have
measured it, and a page must say so instead of failing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from pipeline.contracts.reports import stored_report
from pipeline.contracts.results import value_at
from studio.accounts.models import Project
from studio.evaluations.sample_files import SamplesFile
from studio.registry.models import Checkpoint
from studio.runs.models import Run
from studio.runs.paths import attempt_dir
from studio.runs.states import RunState

BASE, CPT, SFT_PROGRESSIVE, SFT_SINGLE_STAGE = "base", "cpt", "sft_progressive", "sft_single_stage"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A finished run whose report holds figures about a checkpoint."""

    run: Run
    checkpoint: Checkpoint | None = None
    """What was measured; None when the registry does not know its digest."""
    is_name_shared: bool = False
    """Another result on the page would be called the same."""

    @property
    def id(self) -> str:
        return str(self.run.pk)

    @property
    def short_id(self) -> str:
        """Tells results of one name apart."""
        return self.id[:8]

    @property
    def name(self) -> str:
        """The checkpoint's name where the registry has one, else the run's."""
        return self.checkpoint.name if self.checkpoint is not None else self.run.name

    @property
    def label(self) -> str:
        """The name, with a short id where another result on the page has the same."""
        return f"{self.name} #{self.short_id}" if self.is_name_shared else self.name

    @property
    def source(self) -> Run | None:
        """The run that made the checkpoint; None where none of this project did."""
        return self.checkpoint.run if self.checkpoint is not None else None

    @property
    def report(self) -> Mapping[str, Any]:
        report: Mapping[str, Any] = self.run.report or {}
        return report

    @property
    def environment(self) -> Mapping[str, Any]:
        environment: Mapping[str, Any] = self.report.get("environment", {})
        return environment

    @property
    def definitions(self) -> Mapping[str, str]:
        definitions: Mapping[str, str] = self.report.get("definitions", {})
        return definitions

    def figure(self, dotted: str) -> Any:
        """The value at a dotted path of the report's metrics; None where there is none."""
        return value_at(stored_report(self.report).results, dotted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation(Result):
    """A finished `evaluate` run."""

    @property
    def model_digest(self) -> str:
        """Names the checkpoint that was measured."""
        return str(self.report.get("inputs", {}).get("model", ""))

    @property
    def is_of_base(self) -> bool:
        """The model is the one whose ability is to be kept."""
        return self.model_digest == str(self.report.get("inputs", {}).get("base", ""))

    @property
    def samples(self) -> SamplesFile | None:
        """The rows; None when the report names none."""
        output = self.report.get("outputs", {}).get("samples")
        if not output or not output.get("digest"):
            return None
        directory = attempt_dir(self.run.pk, self.run.attempt)
        return SamplesFile(path=directory / output["path"], digest=output["digest"])

    @property
    def role(self) -> str:
        """Which arm of the recipe was measured, by the run that made it; "" if none of them."""
        if self.is_of_base:
            return BASE
        if self.source is None:
            return ""
        if self.source.kind == "continual_pretrain":
            return CPT
        if self.source.kind == "curriculum_sft":
            is_single = self.source.spec.get("mode") == "single_stage"
            return SFT_SINGLE_STAGE if is_single else SFT_PROGRESSIVE
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark(Result):
    """A finished `speculative_decode` run."""


def evaluations_of(project: Project, runs: Iterable[Run]) -> list[Evaluation]:
    """The runs with the checkpoints they measured, in the order given; one query."""
    found = [Evaluation(run=run) for run in runs]
    checkpoints = {
        checkpoint.digest: checkpoint
        for checkpoint in Checkpoint.objects.filter(
            project=project, digest__in={one.model_digest for one in found} - {""}
        )
        .select_related("run")
        .order_by("pk")
    }
    named = [replace(one, checkpoint=checkpoints.get(one.model_digest)) for one in found]
    names = [one.name for one in named]
    return [replace(one, is_name_shared=names.count(one.name) > 1) for one in named]


def succeeded(project: Project, kind: str) -> QuerySet[Run]:
    """Finished runs of a kind, newest first."""
    return (
        Run.objects.filter(project=project, kind=kind, state=RunState.SUCCEEDED)
        .select_related("project")
        .order_by("-finished_at", "-pk")
    )


def baselines_of(project: Project, evaluations: Sequence[Evaluation]) -> dict[str, Evaluation]:
    """By run id, the evaluation whose rows each run was compared with; one query."""
    digests = {one.id: (one.run.spec.get("baseline") or {}).get("digest") for one in evaluations}
    runs = succeeded(project, "evaluate").filter(
        report__outputs__samples__digest__in=sorted(
            {digest for digest in digests.values() if digest}
        )
    )
    by_digest = {
        one.samples.digest: one for one in (Evaluation(run=run) for run in runs) if one.samples
    }
    return {run_id: by_digest[digest] for run_id, digest in digests.items() if digest in by_digest}


def run_ids(values: Iterable[str]) -> list[UUID]:
    """Ids in the order given, each once.

    Raises:
        ValueError: one is no run id.
    """
    return list(dict.fromkeys(UUID(value) for value in values))
