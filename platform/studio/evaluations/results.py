"""Finished evaluations and decoding benchmarks as the pages read them.

A report is read by dotted paths and a figure that a report lacks is None: an older run may not have
measured it, and a page must say so instead of failing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from pipeline.contracts.plans import metric_at
from studio.accounts.models import Project
from studio.evaluations.sample_files import SamplesFile
from studio.runs.models import Run, RunState
from studio.runs.paths import attempt_dir

BASE, CPT, SFT_PROGRESSIVE, SFT_SINGLE_STAGE = "base", "cpt", "sft_progressive", "sft_single_stage"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A finished run whose report holds figures about a checkpoint."""

    run: Run
    checkpoint_name: str = ""
    """The registry's name of the checkpoint; empty when the registry does not know it."""
    source: Run | None = None
    """The run that made the checkpoint; None for an imported one."""
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
    def label(self) -> str:
        """The checkpoint's name where it has one, else the run's; with a short id if need be."""
        name = self.checkpoint_name or self.run.name
        return f"{name} #{self.short_id}" if self.is_name_shared else name

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
        return metric_at(self.report.get("metrics", {}), dotted)


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
    """The runs with their checkpoints' names and origins, in the order given; one query."""
    finished = list(runs)
    digests = {str((run.report or {}).get("inputs", {}).get("model", "")) for run in finished}
    sources = _training_runs(project, digests - {""})
    return mark_shared_names(
        [
            Evaluation(
                run=run,
                source=sources.get(str((run.report or {}).get("inputs", {}).get("model", ""))),
            )
            for run in finished
        ]
    )


def mark_shared_names(results: Sequence[Evaluation]) -> list[Evaluation]:
    """The same results; those of one name carry a short id."""
    names = [result.checkpoint_name or result.run.name for result in results]
    return [
        Evaluation(
            run=result.run,
            checkpoint_name=result.checkpoint_name,
            source=result.source,
            is_name_shared=names.count(name) > 1,
        )
        for result, name in zip(results, names, strict=True)
    ]


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
    by_digest = {_output_digest(run, "samples"): Evaluation(run=run) for run in runs}
    return {run_id: by_digest[digest] for run_id, digest in digests.items() if digest in by_digest}


def run_ids(values: Iterable[str]) -> list[UUID]:
    """Ids in the order given, each once.

    Raises:
        ValueError: one is no run id.
    """
    return list(dict.fromkeys(UUID(value) for value in values))


def _training_runs(project: Project, digests: set[str]) -> dict[str, Run]:
    made = Run.objects.filter(
        project=project,
        state=RunState.SUCCEEDED,
        kind__in=("continual_pretrain", "curriculum_sft", "logit_distill"),
        report__outputs__model__digest__in=sorted(digests),
    ).order_by("finished_at")
    return {_output_digest(run, "model"): run for run in made}


def _output_digest(run: Run, name: str) -> str:
    """For runs that were found by it."""
    return str((run.report or {})["outputs"][name]["digest"])
