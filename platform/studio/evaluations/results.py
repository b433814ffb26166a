"""Finished evaluations and decoding benchmarks as the pages read them.

Made once for each request from a run and its report. A run whose documents nobody can read is no
result: pages leave it out and say so (`unreadable`).
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.models import QuerySet

from pipeline.contracts.claims import Role
from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.evaluation_results import (
    EvaluateResults,
    GeneralAbilityResults,
    TextOverlapResults,
)
from pipeline.contracts.evaluation_spec import EvaluateSpec
from pipeline.contracts.reports import Environment, Report
from pipeline.contracts.samples import Task
from pipeline.contracts.specs import parse_run_spec
from pipeline.errors import SpecError
from studio.accounts.models import Project
from studio.measures.sample_files import SamplesFile
from studio.registry.models import Checkpoint
from studio.runs.models import Run
from studio.runs.paths import attempt_dir
from studio.runs.reports import run_report
from studio.runs.states import RunState

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A finished run whose report holds figures about a checkpoint."""

    run: Run
    report: Report
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
    def environment(self) -> Environment:
        return self.report.environment

    @property
    def definitions(self) -> Mapping[str, str]:
        return self.report.definitions


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation(Result):
    """A finished `evaluate` run."""

    spec: EvaluateSpec
    results: EvaluateResults

    @property
    def model_digest(self) -> str:
        """Names the checkpoint that was measured."""
        return self.report.inputs.get("model", "")

    @property
    def is_of_base(self) -> bool:
        """The model is the one whose ability is to be kept."""
        return self.model_digest == self.report.inputs.get("base", "")

    @property
    def baseline_digest(self) -> str | None:
        """Names the rows that this run was compared with."""
        return None if self.spec.baseline is None else self.spec.baseline.digest

    @property
    def answer_cap(self) -> int | None:
        """Tokens at which an answer was cut; None where no domain question was asked."""
        found, asked = self.results.text_overlap, self.spec.text_overlap
        if found is not None and found.max_new_tokens is not None:
            return found.max_new_tokens
        return None if asked is None else asked.max_new_tokens

    def measured(self, task: Task) -> TextOverlapResults | GeneralAbilityResults | None:
        """The report's figures of a task; None where the run did not measure it."""
        is_overlap = task == "text_overlap"
        return self.results.text_overlap if is_overlap else self.results.general_ability

    @property
    def samples(self) -> SamplesFile | None:
        """The rows; None when the report names none."""
        output = self.report.outputs.get("samples")
        if output is None or not output.digest:
            return None
        directory = attempt_dir(self.run.pk, self.run.attempt)
        return SamplesFile(path=directory / output.path, digest=output.digest)

    @property
    def role(self) -> Role | None:
        """Which arm of the method was measured, by the run that made it; None if none of them."""
        if self.is_of_base:
            return "base"
        if self.source is None:
            return None
        if self.source.kind == "continual_pretrain":
            return "cpt"
        if self.source.kind == "curriculum_sft":
            is_single = self.source.spec.get("mode") == "single_stage"
            return "sft_single_stage" if is_single else "sft_progressive"
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark(Result):
    """A finished `speculative_decode` run."""

    results: SpeculativeDecodeResults


def evaluation_of(run: Run, checkpoint: Checkpoint | None = None) -> Evaluation | None:
    """The run as an evaluation; None when its report or its spec cannot be read as one."""
    report, spec = run_report(run), _evaluate_spec(run)
    if report is None or spec is None or not isinstance(report.results, EvaluateResults):
        return None
    return Evaluation(
        run=run, report=report, checkpoint=checkpoint, spec=spec, results=report.results
    )


def benchmark_of(run: Run) -> Benchmark | None:
    """The run as a decoding benchmark; None when its report cannot be read as one."""
    report = run_report(run)
    if report is None or not isinstance(report.results, SpeculativeDecodeResults):
        return None
    return Benchmark(run=run, report=report, results=report.results)


def evaluations_of(project: Project, runs: Iterable[Run]) -> list[Evaluation]:
    """The runs with the checkpoints they measured, in the order given; one query."""
    found = [one for run in runs if (one := evaluation_of(run)) is not None]
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


def benchmarks_of(runs: Iterable[Run]) -> list[Benchmark]:
    """The runs as benchmarks, in the order given."""
    return [one for run in runs if (one := benchmark_of(run)) is not None]


def unreadable(runs: Iterable[Run], results: Iterable[Result]) -> list[Run]:
    """Those of the runs that are not among the results made from them."""
    read = {one.run.pk for one in results}
    return [run for run in runs if run.pk not in read]


def succeeded(project: Project, kind: str) -> QuerySet[Run]:
    """Finished runs of a kind, newest first."""
    return (
        Run.objects.filter(project=project, kind=kind, state=RunState.SUCCEEDED)
        .select_related("project")
        .order_by("-finished_at", "-pk")
    )


def baselines_of(project: Project, evaluations: Sequence[Evaluation]) -> dict[str, Evaluation]:
    """By run id, the evaluation whose rows each run was compared with; one query."""
    digests = {one.id: one.baseline_digest for one in evaluations}
    runs = succeeded(project, "evaluate").filter(
        report__outputs__samples__digest__in=sorted(
            {digest for digest in digests.values() if digest}
        )
    )
    by_digest = {
        one.samples.digest: one
        for run in runs
        if (one := evaluation_of(run)) is not None and one.samples is not None
    }
    return {
        run_id: by_digest[digest]
        for run_id, digest in digests.items()
        if digest is not None and digest in by_digest
    }


def _evaluate_spec(run: Run) -> EvaluateSpec | None:
    try:
        spec = parse_run_spec(json.dumps(run.spec))
    except SpecError as exc:
        logger.warning("the spec of run %s cannot be read: %s", run.pk, exc)
        return None
    return spec if isinstance(spec, EvaluateSpec) else None
