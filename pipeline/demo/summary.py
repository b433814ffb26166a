"""A finished demonstration's figures in one document, and what it says of the paper's claims.

The paper does not publish how its figures are defined, so the comparison is orientation, not
replication; every row says what was measured here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.claims import ClaimRow, Evidence, Role, claim_rows, overlap_pairs
from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.estimates import PairedFigure
from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.kinds import RunResults
from pipeline.contracts.reports import Environment, Report, parse_report
from pipeline.errors import StepError
from pipeline.evaluation.overlap_comparison import compare_overlap
from pipeline.evaluation.samples import read_samples

STEP_OF_ROLE: Mapping[Role, str] = {
    "base": "evaluate_base",
    "cpt": "evaluate_cpt",
    "sft_single_stage": "evaluate_sft_single_stage",
    "sft_progressive": "evaluate_sft_progressive",
}
BENCHMARK_STEP = "speculative_decode"


class ComparedOverlap(Contract):
    """The answers of two evaluated checkpoints, compared question by question."""

    baseline: Role
    candidate: Role
    figures: dict[str, PairedFigure]
    """By measure."""


class Summary(Contract):
    """`summary.json`: everything the terminal, the HTML report and the README's table show."""

    v: Literal[2] = 2
    code_version: str
    environment: Environment
    seconds: dict[str, float]
    """By step, in the order in which they are listed."""
    results: dict[str, Annotated[RunResults, Field(discriminator="kind")]]
    """By step."""
    overlaps: tuple[ComparedOverlap, ...]

    def evaluation(self, step_id: str) -> EvaluateResults:
        """The results of an evaluating step."""
        results = self.results[step_id]
        if not isinstance(results, EvaluateResults):
            raise TypeError(f"step {step_id!r} is of kind {results.kind}")
        return results

    @property
    def benchmark(self) -> SpeculativeDecodeResults:
        """The results of the benchmark."""
        results = self.results[BENCHMARK_STEP]
        if not isinstance(results, SpeculativeDecodeResults):
            raise TypeError(f"step {BENCHMARK_STEP!r} is of kind {results.kind}")
        return results

    @property
    def claims(self) -> tuple[ClaimRow, ...]:
        """The paper's claims beside these figures."""
        return claim_rows(
            Evidence(
                evaluations={
                    role: self.evaluation(step_id) for role, step_id in STEP_OF_ROLE.items()
                },
                overlaps={(one.baseline, one.candidate): one.figures for one in self.overlaps},
                benchmark=self.benchmark,
            )
        )


def summarize(step_dirs: Mapping[str, Path]) -> Summary:
    """The summary of a finished demonstration.

    Args:
        step_dirs: the run directory of each step of `build_plan`, in the order to be listed.

    Raises:
        StepError: `run.no_report`, a step has not finished.
    """
    reports = {step_id: _report(step_id, path) for step_id, path in step_dirs.items()}
    first = reports[STEP_OF_ROLE["base"]]
    return Summary(
        code_version=first.code_version,
        environment=first.environment,
        seconds={step_id: report.seconds for step_id, report in reports.items()},
        results={step_id: report.results for step_id, report in reports.items()},  # type: ignore[misc]  # no step of a plan is a plan
        overlaps=tuple(_compared(step_dirs, *pair) for pair in overlap_pairs()),
    )


def _compared(step_dirs: Mapping[str, Path], baseline: Role, candidate: Role) -> ComparedOverlap:
    rows = [
        read_samples(step_dirs[STEP_OF_ROLE[role]] / "samples.parquet", "text_overlap")
        for role in (baseline, candidate)
    ]
    figures = compare_overlap(*rows)
    return ComparedOverlap(baseline=baseline, candidate=candidate, figures=figures)


def _report(step_id: str, directory: Path) -> Report:
    path = directory / "report.json"
    if not path.exists():
        raise StepError(step_id, "run.no_report", f"there is no {path}; has the step finished?", 1)
    return parse_report(path.read_bytes())
