"""What the replication found, as stored in `docs/replication_summary.json`.

`docs/results.md` is made from it. Each part stands by itself, with the code and the machine that
measured it, so that parts can be run one at a time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.estimates import Estimate, PairedFigure
from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.reports import Environment
from pipeline.contracts.training_results import ContinualPretrainResults, CurriculumSftResults
from pipeline.metrics.decisions import Doubt, Word
from pipeline.replication.parts import PartKey


class Checkpoint(Contract):
    """A checkpoint with what its training and its evaluation reported."""

    arm: str
    seed: int
    training: (
        Annotated[ContinualPretrainResults | CurriculumSftResults, Field(discriminator="kind")]
        | None
    ) = None
    """None for the base."""
    evaluation: EvaluateResults


class Judgement(Contract):
    """What may be said of the mean difference over the seeds, in its family."""

    word: Word
    doubt: Doubt
    is_real: bool
    adjusted_p: float
    margin: float | None
    """Difference that is none, in the measure's stored unit."""
    low: float | None
    """Simultaneous interval of the difference, over questions; None with `high`."""
    high: float | None
    level: float
    """Of that interval."""
    ratio: Estimate | None
    """candidate / baseline at that level, agreeing with the word."""


class Compared(Contract):
    """One measure of two arms."""

    by_seed: dict[int, PairedFigure]
    """Within each seed; intervals over questions."""
    mean: PairedFigure
    """Over the seeds. Its units are questions, or documents with theirs, each with its answers of
    all seeds: the interval is over questions, for these seeds."""
    unseen: PairedFigure | None = None
    """`mean` on questions about documents kept out of training."""
    judgement: Judgement | None = None
    """None for a measure without a direction."""

    @property
    def spread(self) -> tuple[float, float]:
        """Least and largest difference of a seed."""
        values = [one.difference.value for one in self.by_seed.values()]
        return min(values), max(values)

    @property
    def ratio_spread(self) -> tuple[float, float] | None:
        """Least and largest ratio of a seed; None where one has none."""
        ratios = [one.ratio for one in self.by_seed.values()]
        values = [ratio.value for ratio in ratios if ratio is not None]
        return (min(values), max(values)) if len(values) == len(ratios) else None


class ContrastResults(Contract):
    """Two arms, by measure."""

    baseline: str
    candidate: str
    measures: dict[str, Compared]


class PartResults(Contract):
    """A finished part."""

    finished_at: str
    code_versions: tuple[str, ...]
    """Of its steps: more than one where it went on with other code."""
    environment: Environment
    base: str
    """Name of the base model."""
    base_digest: str
    seconds: dict[str, float]
    """By step, in the order of execution; steps are shared between parts."""
    checkpoints: tuple[Checkpoint, ...] = ()
    contrasts: tuple[ContrastResults, ...] = ()
    num_judged: int = 0
    """Size of the family that the contrasts were judged in."""
    decoding: SpeculativeDecodeResults | None = None

    def checkpoint(self, arm: str, seed: int = 0) -> Checkpoint | None:
        """The checkpoint of an arm and a seed, if it belongs to the part."""
        return next((c for c in self.checkpoints if (c.arm, c.seed) == (arm, seed)), None)

    def contrast(self, baseline: str, candidate: str) -> ContrastResults | None:
        """The comparison of two arms, if it belongs to the part."""
        named = (baseline, candidate)
        return next((c for c in self.contrasts if (c.baseline, c.candidate) == named), None)


class ReplicationSummary(Contract):
    """Every part that has been run."""

    v: Literal[1] = 1
    parts: dict[PartKey, PartResults] = Field(default_factory=dict)

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """The summary in a file; one without parts where there is no file yet."""
        return cls.parse(path.read_bytes()) if path.exists() else cls()

    def with_parts(self, found: Mapping[PartKey, PartResults]) -> Self:
        """The same with these parts instead of their earlier results."""
        return self.model_copy(update={"parts": {**self.parts, **found}})

    @property
    def as_json(self) -> str:
        """As it is stored."""
        return self.model_dump_json(indent=1) + "\n"
