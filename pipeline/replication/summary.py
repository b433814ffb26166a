"""From finished steps to what a part found; the same steps give the same bytes."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.documents import read_run_spec
from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.evaluation_spec import EquivalenceMargins, EvaluateSpec
from pipeline.contracts.plans import check_gates
from pipeline.contracts.reports import Report
from pipeline.contracts.samples import TASKS
from pipeline.contracts.specs import PlanStep
from pipeline.contracts.training_results import ContinualPretrainResults, CurriculumSftResults
from pipeline.errors import GateError
from pipeline.evaluation.samples import read_samples
from pipeline.replication.arms import BASE, Setting
from pipeline.replication.comparison import SeedPairs, compare_family, num_judged, pair_rows
from pipeline.replication.parts import Contrast, Part, checkpoint_step, evaluation_step
from pipeline.replication.plan import build_plan, report_of
from pipeline.replication.results import Checkpoint, PartResults


def summarize_part(part: Part, setting: Setting, plan_dir: Path) -> PartResults | None:
    """What the part found, or None while a step of it is unfinished or does not pass its gate.

    Args:
        part: any; of one whose learning rates are chosen, the one with the chosen rates.
        setting: that its plan was built with.
        plan_dir: run directory of a plan that holds the part.
    """
    finished: dict[str, Report] = {}
    for step in build_plan([part], setting).steps:
        report = _passed(step, plan_dir)
        if report is None:
            return None
        finished[step.id] = report
    base = finished[evaluation_step(BASE, 0)]
    last = max(finished.values(), key=_end)
    contrasts = compare_family(
        {contrast: _pairs(part, contrast, plan_dir) for contrast in part.contrasts},
        _margins(plan_dir),
    )
    return PartResults(
        finished_at=_end(last).isoformat(timespec="seconds"),
        code_versions=tuple(dict.fromkeys(report.code_version for report in finished.values())),
        environment=last.environment,
        base=Path(setting.base.resolved_path).name,
        base_digest=base.inputs["base"],
        seconds={step_id: report.seconds for step_id, report in finished.items()},
        checkpoints=tuple(
            _checkpoint(finished, arm, seed)
            for arm, seeds in part.seeds_of.items()
            for seed in sorted(seeds)
        ),
        contrasts=contrasts,
        num_judged=num_judged(contrasts),
        decoding=_decoding(finished),
    )


def _passed(step: PlanStep, plan_dir: Path) -> Report | None:
    """The step's report; None unless it has finished and holds what the plan asks of it."""
    report = report_of(plan_dir, step.id)
    if report is not None:
        try:
            check_gates(step.id, step.gates, report)
        except GateError:
            return None
    return report


def _checkpoint(reports: Mapping[str, Report], arm: str, seed: int) -> Checkpoint:
    training = None if arm == BASE else _training(reports[checkpoint_step(arm, seed)])
    evaluation = _evaluation(reports[evaluation_step(arm, seed)])
    return Checkpoint(arm=arm, seed=seed, training=training, evaluation=evaluation)


def _training(report: Report) -> ContinualPretrainResults | CurriculumSftResults:
    if not isinstance(report.results, ContinualPretrainResults | CurriculumSftResults):
        raise TypeError(f"a training step is of kind {report.kind}")
    return report.results


def _evaluation(report: Report) -> EvaluateResults:
    if not isinstance(report.results, EvaluateResults):
        raise TypeError(f"an evaluating step is of kind {report.kind}")
    return report.results


def _pairs(part: Part, contrast: Contrast, plan_dir: Path) -> Sequence[SeedPairs]:
    """The items of both arms, by task and seed."""
    baseline, candidate = contrast
    seeds = sorted({*part.seeds_of[baseline]} & {*part.seeds_of[candidate]})
    files = {
        seed: [
            plan_dir / "steps" / evaluation_step(arm, seed) / "samples.parquet" for arm in contrast
        ]
        for seed in seeds
    }
    return [
        {
            seed: pair_rows(task, *(read_samples(path, task) for path in both))
            for seed, both in files.items()
        }
        for task in TASKS
    ]


def _margins(plan_dir: Path) -> EquivalenceMargins:
    """As the base's evaluation fixed them, which all others are made from."""
    written = plan_dir / "steps" / evaluation_step(BASE, 0) / "spec.json"
    spec = read_run_spec(written.read_bytes()).spec
    if not isinstance(spec, EvaluateSpec):
        raise TypeError(f"{written} is of kind {spec.kind}")
    return spec.margins


def _decoding(reports: Mapping[str, Report]) -> SpeculativeDecodeResults | None:
    found = [report.results for report in reports.values()]
    return next((one for one in found if isinstance(one, SpeculativeDecodeResults)), None)


def _end(report: Report) -> datetime:
    return datetime.fromisoformat(report.started_at) + timedelta(seconds=report.seconds)
