"""`make replicate`: its plan, an interruption, and how seeds are put together.

The default plan runs at smoke size with a tiny model and two of its three seeds, its steps in this
process.
`test_replication_figures.py` has what needs no run.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.contracts.documents import read_spec, spec_document
from pipeline.contracts.references import Reference
from pipeline.contracts.specs import PlanSpec
from pipeline.contracts.training_results import CurriculumSftResults
from pipeline.demo.compare import differences
from pipeline.demo.data_files import DemonstrationData
from pipeline.demo.plan import BUDGETS
from pipeline.execution import JsonlEventSink, RunContext
from pipeline.modeling.tiny import save_tiny_model
from pipeline.recipes.plan import run_steps
from pipeline.replication.arms import Setting
from pipeline.replication.document import as_document
from pipeline.replication.parts import PARTS, Part
from pipeline.replication.plan import build_plan
from pipeline.replication.replicate import replicate
from pipeline.replication.results import ReplicationSummary
from pipeline.run_command import execute_run

ROOT = Path(__file__).resolve().parents[2]
DATA_DIR = ROOT / "examples/soae_demo"
SEEDS = (0, 2)
DEFAULT = [
    replace(part, seeds_of={arm: SEEDS[: len(seeds)] for arm, seeds in part.seeds_of.items()})
    for part in PARTS
    if part.is_default
]


def setting_of(base: Path) -> Setting:
    return Setting(
        data=DemonstrationData(DATA_DIR, "en"),
        base=Reference(path=str(base)),
        budget=BUDGETS["smoke"],
    )


class Killed(BaseException):
    """As SIGKILL: nothing after it is executed."""


class InThisProcess:
    """Runs a plan's steps here instead of in children; can be killed after so many of them."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.left = 1_000

    def __call__(self, plan: PlanSpec, plan_dir: Path) -> int:
        plan_dir.mkdir(parents=True, exist_ok=True)
        sink = JsonlEventSink(plan_dir / "events.jsonl", run_id="plan", attempt=1)
        context = RunContext(run_dir=plan_dir, spec_digest=spec_document(plan).digest, events=sink)
        try:
            run_steps(plan, context, run_step=self._run_step)
        finally:
            sink.close()
        return 0

    def _run_step(self, step, spec, step_dir: Path, _context) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        status = execute_run(
            read_spec(spec.model_dump_json()),
            run_dir=step_dir,
            run_id=step.id,
            attempt=1,
            resume_from=None,
            replace=True,
        )
        assert status == 0
        self.ran.append(step.id)


def written(plan_dir: Path) -> dict[str, tuple[int, bytes]]:
    """When each report was written, and what the step's events are."""
    return {
        path.parent.name: (path.stat().st_mtime_ns, (path.parent / "events.jsonl").read_bytes())
        for path in plan_dir.glob("steps/*/report.json")
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    directory = save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    config = json.loads((directory / "config.json").read_text())
    # Byte-level tokens make the real questions long.
    (directory / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    return directory


@pytest.fixture(scope="module")
def finished(base: Path, tmp_path_factory):
    """The default parts, killed once between two steps and started again."""
    plan_dir = tmp_path_factory.mktemp("replication") / "en"
    run, setting = InThisProcess(), setting_of(base)
    run.left = 3
    with pytest.raises(Killed):
        replicate(DEFAULT, setting, plan_dir, run)
    before = written(plan_dir)
    assert len(before) == 3
    run.left = 1_000
    status, found = replicate(DEFAULT, setting, plan_dir, run)
    assert status == 0
    return plan_dir, run, before, found


@pytest.mark.recipes
@pytest.mark.slow
def test_no_step_is_repeated_after_a_kill(finished, base: Path) -> None:
    plan_dir, run, before, _found = finished
    assert len(run.ran) == len(set(run.ran))
    assert sorted(run.ran) == sorted(
        step.id for step in build_plan(DEFAULT, setting_of(base)).steps
    )
    after = written(plan_dir)
    assert {name: after[name] for name in before} == before
    again = InThisProcess()
    again.left = 0
    assert replicate(DEFAULT, setting_of(base), plan_dir, again)[0] == 0
    assert written(plan_dir) == after


@pytest.mark.recipes
@pytest.mark.slow
def test_the_same_steps_give_the_same_summary(finished, base: Path) -> None:
    plan_dir, _run, _before, found = finished
    summary = ReplicationSummary().with_parts(found)
    _status, again = replicate(DEFAULT, setting_of(base), plan_dir, InThisProcess())
    assert ReplicationSummary().with_parts(again).as_json == summary.as_json
    assert ReplicationSummary.parse(summary.as_json) == summary


@pytest.mark.recipes
@pytest.mark.slow
def test_an_interruption_moves_no_figure(finished, base: Path, tmp_path: Path) -> None:
    """A checkpoint of the first part in one go, beside the one of the part that was killed."""
    run = InThisProcess()
    alone = Part(key="dose", title="one dose", seeds_of={"cpt": (0,)})
    replicate([alone], setting_of(base), tmp_path / "en", run)
    found, num_equal = differences(tmp_path / "en", finished[0])
    assert [line for line in found if line.partition(":")[0] in run.ran] == []
    assert num_equal > 200


@pytest.mark.recipes
@pytest.mark.slow
def test_the_page_shows_every_seed_and_what_was_not_run(finished) -> None:
    _plan_dir, _run, _before, found = finished
    assert list(found) == ["dose", "sft"]
    page = as_document(ReplicationSummary().with_parts(found))
    for arm in ("progressive", "single stage", "expert data alone"):
        for seed in SEEDS:
            assert f"| {arm} | {seed} |" in page
    assert page.count("Not run yet:") == len(PARTS) - len(found)
    assert "**Advice.**" in page
    assert f"Judged together: {found['sft'].num_judged} differences" in page
    assert "| seed 0 | seed 2 | least ... largest |" in page
    took = found["sft"].seconds["sft_expert_only_seed2"]
    stored = ReplicationSummary().with_parts(found).as_json
    other = ReplicationSummary.parse(stored.replace(str(took), "7260.0"))
    assert as_document(other) != page, "the page is made from the summary"
    assert "| `sft_expert_only_seed2` | tiny | 121.0 |" in as_document(other)


@pytest.mark.recipes
@pytest.mark.slow
def test_expert_data_alone_is_what_that_arm_sees(finished, base: Path) -> None:
    _plan_dir, _run, _before, found = finished
    checkpoints = [
        c for c in found["sft"].checkpoints if isinstance(c.training, CurriculumSftResults)
    ]
    assert len(checkpoints) == 3 * len(SEEDS)
    tokens = {}
    for checkpoint in checkpoints:
        seen = [stage.tokens_by_source for stage in checkpoint.training.stages]
        if checkpoint.arm == "sft_expert_only":
            assert [set(one) for one in seen] == [{"expert"}]
        else:
            assert set().union(*seen) == {"weakly_relevant", "expert"}
        tokens[checkpoint.arm, checkpoint.seed] = checkpoint.training.tokens
    # A stage ends with the row that reaches its budget, so it may have one row more.
    budget = BUDGETS["smoke"]
    asked = 2 * budget.sft_stage_tokens
    assert all(asked <= seen <= asked + 2 * budget.max_seq_length for seen in tokens.values())
