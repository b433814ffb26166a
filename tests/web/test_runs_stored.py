"""Runs and plans that an earlier version queued are claimed, copied and resumed as themselves."""

import json
from pathlib import Path

import pytest
from django.db.models.functions import Now

from pipeline.contracts.codec import bytes_digest
from pipeline.contracts.documents import read_run_spec
from studio.accounts.models import Project, Role
from studio.runs import lifecycle, services
from studio.runs.documents import plan_document
from studio.runs.inputs import NamedInput
from studio.runs.models import Plan, Run
from studio.runs.states import RunState

pytestmark = pytest.mark.postgres

GOLDEN = Path(__file__).parents[1] / "contract/golden/v1"


def stored(kind: str) -> dict[str, object]:
    """The columns of a row that version 1 wrote."""
    document = (GOLDEN / f"{kind}.spec.json").read_bytes().rstrip(b"\n")
    return {"spec": json.loads(document), "spec_digest": bytes_digest(document)}


def is_of_version_1(project: Project, named: NamedInput) -> bool:
    return named.path.startswith("/data/")


@pytest.fixture
def project(factories, settings):
    # The documents were written on another machine, whose objects this one does not have.
    settings.STUDIO_RUN_INPUTS = [f"{__name__}.is_of_version_1"]
    return factories.make_project()


@pytest.fixture
def engineer(factories, project):
    return factories.make_user("engineer", project=project, role=Role.ENGINEER)


@pytest.fixture
def benchmark(project, engineer) -> Run:
    """A queued decoding benchmark as version 1 stored it."""
    return Run.objects.create(
        project=project,
        created_by=engineer,
        name="decoding benchmark",
        kind="speculative_decode",
        queue="compute",
        state=RunState.QUEUED,
        **stored("speculative_decode"),
    )


def test_a_queued_run_is_launched_with_its_stored_digest(benchmark) -> None:
    claim = lifecycle.claim(benchmark.pk, slot="here", queue="compute")
    assert claim.spec_digest == benchmark.spec_digest
    # The child reads what the worker writes, and reports the digest of that document.
    document = read_run_spec(json.dumps(claim.spec, ensure_ascii=False))
    assert document.digest == claim.spec_digest
    assert [arm.name for arm in document.spec.arms][-1] == "ngram"


def test_a_copy_and_a_continuation_keep_the_stored_document(benchmark, engineer) -> None:
    copy = services.run_clone(run=benchmark, actor=engineer)
    Run.objects.filter(pk=benchmark.pk).update(state=RunState.FAILED, finished_at=Now())
    continuation = services.run_resume(run=benchmark, actor=engineer)
    for run in (copy, continuation):
        assert (run.spec, run.spec_digest) == (benchmark.spec, benchmark.spec_digest)


def test_a_stored_plan_opens(project, engineer) -> None:
    plan = Plan.objects.create(
        project=project, created_by=engineer, name="recipe", **stored("plan")
    )
    document = plan_document(plan)
    assert document.digest == plan.spec_digest
    (step,) = (step for step in document.spec.steps if step.id == "speculative_decode")
    assert [arm.method for arm in step.spec.arms] == ["draft_model"] * 3 + ["ngram"]
