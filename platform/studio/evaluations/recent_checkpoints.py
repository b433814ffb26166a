"""The newest checkpoints with what was measured of them: the table of the home page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from studio.accounts.models import Project
from studio.evaluations.list_rows import (
    BenchmarkRow,
    EvaluationRow,
    benchmark_row,
    evaluation_row,
)
from studio.evaluations.results import benchmark_of, evaluation_of, succeeded
from studio.measures.labels import headline_measures
from studio.measures.numbers import NONE
from studio.registry.models import Checkpoint
from studio.runs.models import Run

NUM_SHOWN = 10
NUM_RESULTS = 50
"""Results looked through for those of the checkpoints shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecentCheckpoint:
    """A checkpoint with its newest evaluation and benchmark, where there are any."""

    checkpoint: Checkpoint
    evaluated: EvaluationRow | None
    timed: BenchmarkRow | None

    @property
    def headline_texts(self) -> list[str]:
        """The figures of `headline_measures`, in their order."""
        if self.evaluated is None:
            return ["-" for _measure in headline_measures()]
        return [figure.text for figure in self.evaluated.figures]

    @property
    def speedup(self) -> str:
        """Empty where no benchmark measured one."""
        return "" if self.timed is None or self.timed.speedup == NONE else self.timed.speedup


def recent_checkpoints(project: Project) -> list[RecentCheckpoint]:
    """Newest first; four queries."""
    checkpoints = list(
        Checkpoint.objects.live()
        .filter(project=project)
        .defer("facts")
        .prefetch_related("parent_links__parent")
        .order_by("-pk")[:NUM_SHOWN]
    )
    digests = [checkpoint.digest for checkpoint in checkpoints if checkpoint.digest]
    evaluations = _newest(project, "evaluate", "model", digests)
    benchmarks = _newest(project, "speculative_decode", "target", digests)
    return [
        RecentCheckpoint(
            checkpoint=checkpoint,
            evaluated=_evaluated(checkpoint, evaluations.get(checkpoint.digest)),
            timed=_timed(benchmarks.get(checkpoint.digest)),
        )
        for checkpoint in checkpoints
    ]


def _newest(project: Project, kind: str, role: str, digests: Iterable[str]) -> Mapping[str, Run]:
    """By digest of the model that was measured, the newest run of a kind."""
    runs = succeeded(project, kind).filter(**{f"report__inputs__{role}__in": list(digests)})
    newest: dict[str, Run] = {}
    for run in runs[:NUM_RESULTS]:
        # The filter says that it is there; the few reports that are shown are read whole.
        assert run.report is not None  # noqa: S101
        newest.setdefault(run.report["inputs"][role], run)
    return newest


def _evaluated(checkpoint: Checkpoint, run: Run | None) -> EvaluationRow | None:
    found = None if run is None else evaluation_of(run, checkpoint)
    return None if found is None else evaluation_row(found)


def _timed(run: Run | None) -> BenchmarkRow | None:
    found = None if run is None else benchmark_of(run)
    return None if found is None else benchmark_row(found)
