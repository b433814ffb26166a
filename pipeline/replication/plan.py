"""The plan of some parts: every step that they and what they start from need, once."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.contracts.evaluation_spec import EvaluateSpec
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.references import DomainTestRef, Reference
from pipeline.contracts.reports import Report, parse_report
from pipeline.contracts.specs import PlanSpec, PlanStep
from pipeline.demo.plan import base_evaluation, compared, plan_steps
from pipeline.replication.arms import ARMS, BASE, SEEDS, Setting
from pipeline.replication.parts import Part, checkpoint_step, evaluation_step

EXPECTED_SECONDS: Mapping[str, float] = {
    "continual_pretrain": 150,
    "curriculum_sft": 180,
    "evaluate": 280,
    "logit_distill": 125,
    "speculative_decode": 1300,
}
"""Of a step by kind: SmolLM2-135M on two quiet cores of 2.5 GHz."""


def build_plan(parts: Sequence[Part], setting: Setting) -> PlanSpec:
    """The plan of all steps of the parts, which are of one language.

    Steps are ordered by seed, so that what is interrupted has whole seeds. A step has the same id
    and the same spec in every part: a plan that grows keeps what is finished.
    """
    steps: dict[str, RunSpec] = {}
    evaluation = base_evaluation(setting.data, setting.base, setting.budget, 0)
    steps[evaluation_step(BASE, 0)] = evaluation
    for part in parts:
        every = [(seed, arm) for arm, seeds in part.seeds_of.items() for seed in seeds]
        for seed, arm in sorted(every, key=lambda one: one[0]):
            _add_training(steps, arm, seed, setting)
            if arm != BASE:
                model = Reference(from_step=checkpoint_step(arm, seed))
                steps[evaluation_step(arm, seed)] = _judged(arm, model, evaluation, setting)
        for arm in part.needs:
            _add_training(steps, arm, SEEDS[0], setting)
        steps.update(part.further(setting))
    return PlanSpec(
        name=f"replication: {', '.join(part.key for part in parts)}", steps=plan_steps(steps)
    )


def expected_seconds(steps: Iterable[PlanStep]) -> float:
    """What the steps take on the machine that `EXPECTED_SECONDS` was measured on."""
    return sum(EXPECTED_SECONDS[step.spec.kind] for step in steps)


def report_of(plan_dir: Path, step_id: str) -> Report | None:
    """The report of a step, if it has finished."""
    path = plan_dir / "steps" / step_id / "report.json"
    return parse_report(path.read_bytes()) if path.exists() else None


def _add_training(steps: dict[str, RunSpec], key: str, seed: int, setting: Setting) -> None:
    """The training of a checkpoint, after that of the one it starts from."""
    if key == BASE:
        return
    arm = ARMS[key]
    _add_training(steps, arm.start, SEEDS[0], setting)
    start = (
        setting.base
        if arm.start == BASE
        else Reference(from_step=checkpoint_step(arm.start, SEEDS[0]))
    )
    steps[checkpoint_step(key, seed)] = arm.train(setting, start, seed)


def _judged(key: str, model: Reference, base: EvaluateSpec, setting: Setting) -> EvaluateSpec:
    """The measurements of a checkpoint: the base's, or the development questions alone."""
    if ARMS[key].judged_on == "test":
        return compared(base, model)
    assert base.text_overlap is not None  # noqa: S101 (the base answers domain questions)
    questions = setting.data.rows(
        DomainTestRef, "sft_expert", "domain_test", setting.data.development("meta.doc_id")
    )
    return base.model_copy(
        update={
            "model": model,
            "text_overlap": base.text_overlap.model_copy(update={"dataset": questions}),
            "general_ability": None,
            "gauge": None,
        }
    )
