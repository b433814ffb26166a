"""The newest checkpoints with what was measured of them: the table of the home page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from studio.accounts.models import Project
from studio.evaluations import speedup_page
from studio.evaluations.formats import NONE
from studio.evaluations.headlines import Headline, headline
from studio.evaluations.results import Benchmark, Evaluation, Result, succeeded
from studio.registry.models import Checkpoint
from studio.runs.models import Run

NUM_SHOWN = 10
NUM_RESULTS = 50
"""Results looked through for those of the checkpoints shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecentCheckpoint:
    """A checkpoint with its newest evaluation and benchmark, where there are any."""

    checkpoint: Checkpoint
    headline: Headline | None
    benchmark: Benchmark | None
    speedup: str


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
    rows = []
    for checkpoint in checkpoints:
        run, timed = evaluations.get(checkpoint.digest), benchmarks.get(checkpoint.digest)
        benchmark = Benchmark(run=timed) if timed is not None else None
        rows.append(
            RecentCheckpoint(
                checkpoint=checkpoint,
                headline=headline(Evaluation(run=run, checkpoint=checkpoint)) if run else None,
                benchmark=benchmark,
                speedup=_speedup(benchmark),
            )
        )
    return rows


def _newest(project: Project, kind: str, role: str, digests: Iterable[str]) -> Mapping[str, Run]:
    """By digest of the model that was measured, the newest run of a kind."""
    runs = succeeded(project, kind).filter(**{f"report__inputs__{role}__in": list(digests)})
    found = [Result(run=run) for run in runs[:NUM_RESULTS]]
    return {one.report["inputs"][role]: one.run for one in reversed(found)}


def _speedup(benchmark: Benchmark | None) -> str:
    shown = NONE if benchmark is None else speedup_page.headline(benchmark).speedup
    return "" if shown == NONE else shown
