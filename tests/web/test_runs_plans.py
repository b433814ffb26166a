"""A plan's steps start when their needs have succeeded, and only then."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.contracts.documents import read_plan_spec
from pipeline.contracts.reports import Output
from pipeline.errors import SpecError
from studio.accounts.models import Membership, Project, Role, User
from studio.registry.models import Checkpoint
from studio.runs import lifecycle, services
from studio.runs.models import Plan, Run
from studio.runs.states import RunState

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
SLOT = "machine/compute-0"


@pytest.fixture
def project() -> Project:
    return Project.objects.create(slug="demo", name="Demo")


@pytest.fixture
def engineer(project: Project) -> User:
    user = User.objects.create_user(username="engineer")
    Membership.objects.create(project=project, user=user, role=Role.ENGINEER)
    return user


@pytest.fixture
def spec(tmp_path: Any, settings: Any) -> dict[str, Any]:
    """train -> evaluate (gated), and an independent third step."""
    settings.STUDIO_DATA_DIR = tmp_path
    corpus = {"path": f"{tmp_path}/models/corpus.jsonl", "kind": "corpus"}
    base = {"path": f"{tmp_path}/models/base"}
    train = {
        "kind": "continual_pretrain",
        "model": base,
        "sources": [{"name": "domain", "dataset": corpus, "weight": 1.0}],
        "num_tokens": 100,
        "optimizer": {"learning_rate": 0.001},
    }
    evaluate = {
        "kind": "evaluate",
        "model": {"from_step": "train"},
        "base": base,
        "gauge": {"prompts": corpus},
    }
    gate = {"metric": "results.gauge.bits_per_byte", "operator": "at_most", "value": 2.0}
    return {
        "kind": "plan",
        "name": "recipe",
        "steps": [
            {"id": "evaluate", "spec": evaluate, "gates": [gate]},
            {"id": "train", "spec": train},
            {"id": "compare", "spec": evaluate | {"model": base}, "needs": ["evaluate"]},
        ],
    }


@pytest.fixture
def plan(project: Project, engineer: User, spec: dict[str, Any]) -> Plan:
    return services.plan_create(
        project=project, actor=engineer, spec=read_plan_spec(json.dumps(spec))
    )


def states(plan: Plan) -> dict[str, str]:
    return {run.step_id: run.state for run in plan.runs.current_steps()}


def step(plan: Plan, step_id: str) -> Run:
    return plan.runs.current_steps().get(step_id=step_id)


@pytest.fixture
def execute(factories: Any) -> Callable[..., Run]:
    """Makes a run succeed; an evaluation with this gauge."""

    def execute(run: Run, bits_per_byte: float | None = None) -> Run:
        results = None if bits_per_byte is None else factories.gauge_results(bits_per_byte)
        outputs = {"model": Output(path="model", digest="a" * 64)}
        report = factories.make_report(run, results, outputs=outputs)
        claim = lifecycle.claim(run.pk, slot=SLOT, queue="compute")
        assert claim is not None
        assert lifecycle.finish_succeeded(run.pk, claim.attempt, report)
        run.refresh_from_db()
        return run

    return execute


def fail(run: Run) -> None:
    claim = lifecycle.claim(run.pk, slot=SLOT, queue="compute")
    assert claim is not None
    lifecycle.finish_failed(
        run.pk, claim.attempt, code="c", message="m", is_retryable=False, exit_status=1
    )


def shown(plan: Plan) -> Any:
    return Plan.objects.with_progress().get(pk=plan.pk)


def test_only_steps_without_needs_are_queued(plan: Plan) -> None:
    assert states(plan) == {"evaluate": "waiting", "train": "queued", "compare": "waiting"}
    assert lifecycle.claim(step(plan, "evaluate").pk, slot=SLOT, queue="compute") is None
    assert shown(plan).state == "queued"


def test_a_reference_becomes_the_path_in_the_attempt_that_finished(
    plan: Plan, settings: Any, execute: Callable[..., Run]
) -> None:
    train = step(plan, "train")
    lost = lifecycle.claim(train.pk, slot=SLOT, queue="compute")
    assert lost is not None
    lifecycle.attempt_lost(train.pk, lost.attempt, message="killed")
    execute(train)

    evaluate = step(plan, "evaluate")
    assert evaluate.state == RunState.QUEUED
    expected = settings.STUDIO_DATA_DIR / "runs" / str(train.pk) / "attempt-2" / "model"
    assert evaluate.spec["model"]["path"] == str(expected)
    assert evaluate.spec["model"]["digest"] == "a" * 64
    assert evaluate.spec["model"]["from_step"] is None


def test_the_plan_ends_with_its_last_step(plan: Plan, execute: Callable[..., Run]) -> None:
    execute(step(plan, "train"))
    assert shown(plan).state == "running"
    execute(step(plan, "evaluate"), bits_per_byte=1.0)
    execute(step(plan, "compare"))
    assert set(states(plan).values()) == {"succeeded"}
    assert shown(plan).state == "succeeded"
    assert shown(plan).finished_at is not None


def test_a_failed_step_cancels_those_that_need_it(plan: Plan) -> None:
    fail(step(plan, "train"))
    assert states(plan) == {"evaluate": "cancelled", "train": "failed", "compare": "cancelled"}
    cancelled = step(plan, "evaluate")
    assert cancelled.error_code == "plan.step_not_reached"
    assert "'train' failed" in cancelled.error_message
    assert shown(plan).state == "failed"


def test_a_gate_that_does_not_hold_fails_the_step_and_keeps_its_report(
    plan: Plan, execute: Callable[..., Run]
) -> None:
    execute(step(plan, "train"))
    evaluate = execute(step(plan, "evaluate"), bits_per_byte=3.0)
    assert (evaluate.state, evaluate.error_code) == (RunState.FAILED, "plan.gate_failed")
    assert "bits_per_byte is 3.0" in evaluate.error_message
    assert evaluate.report["results"]["gauge"]["bits_per_byte"] == 3.0
    assert states(plan)["compare"] == "cancelled"


def test_a_model_that_its_gate_refuses_is_not_registered(
    project: Project, engineer: User, spec: dict[str, Any], execute: Callable[..., Run]
) -> None:
    gate = {"metric": "seconds", "operator": "at_most", "value": 0.5}
    spec["steps"][1]["gates"] = [gate]
    plan = services.plan_create(
        project=project, actor=engineer, spec=read_plan_spec(json.dumps(spec))
    )
    train = execute(step(plan, "train"))
    assert (train.state, train.error_code) == (RunState.FAILED, "plan.gate_failed")
    assert "model" in train.report["outputs"]
    assert not Checkpoint.objects.exists()


def test_a_missing_output_fails_the_step_that_reads_it(
    project: Project, engineer: User, spec: dict[str, Any], execute: Callable[..., Run]
) -> None:
    spec["steps"][0]["spec"]["model"] = {"from_step": "train", "output": "draft"}
    plan = services.plan_create(
        project=project, actor=engineer, spec=read_plan_spec(json.dumps(spec))
    )
    execute(step(plan, "train"))
    assert step(plan, "evaluate").error_code == "spec.unresolved_reference"
    assert states(plan)["compare"] == "cancelled"


def test_a_restart_runs_what_did_not_succeed(
    plan: Plan, engineer: User, execute: Callable[..., Run]
) -> None:
    trained = execute(step(plan, "train"))
    failed = step(plan, "evaluate")
    fail(failed)
    services.plan_restart(plan=plan, actor=engineer)
    assert states(plan) == {"evaluate": "queued", "train": "succeeded", "compare": "waiting"}
    assert step(plan, "train").pk == trained.pk
    assert step(plan, "evaluate").continues_id == failed.pk
    failed.refresh_from_db()
    assert failed.state == RunState.FAILED
    execute(step(plan, "evaluate"), bits_per_byte=1.0)
    execute(step(plan, "compare"))
    assert shown(plan).state == "succeeded"


def test_resuming_a_step_restarts_its_plan(plan: Plan, engineer: User) -> None:
    train = step(plan, "train")
    fail(train)
    resumed = services.run_resume(run=train, actor=engineer)
    assert resumed.pk == step(plan, "train").pk
    assert states(plan) == {"evaluate": "waiting", "train": "queued", "compare": "waiting"}


def test_cancelling_a_step_cancels_those_that_need_it(plan: Plan, engineer: User) -> None:
    services.run_cancel(run=step(plan, "train"), actor=engineer)
    assert set(states(plan).values()) == {"cancelled"}


def test_cancelling_a_plan_leaves_nothing_to_start(plan: Plan, engineer: User) -> None:
    claim = lifecycle.claim(step(plan, "train").pk, slot=SLOT, queue="compute")
    assert claim is not None
    services.plan_cancel(plan=plan, actor=engineer)
    assert states(plan) == {"evaluate": "cancelled", "train": "cancelling", "compare": "cancelled"}
    lifecycle.finish_stopped(claim.run_id, claim.attempt, exit_status=75)
    assert shown(plan).state == "cancelled"


@pytest.mark.parametrize(
    ("needs", "message"), [(["nowhere"], "nowhere"), (["compare"], "wait for each other")]
)
def test_a_plan_that_cannot_end_is_refused(
    project: Project, engineer: User, spec: dict[str, Any], needs: list[str], message: str
) -> None:
    spec["steps"][1]["needs"] = needs
    with pytest.raises(SpecError, match=message):
        services.plan_create(project=project, actor=engineer, spec=read_plan_spec(json.dumps(spec)))
    assert not Run.objects.exists()
