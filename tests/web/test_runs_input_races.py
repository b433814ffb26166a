"""What a run reads cannot be removed between the check and the insert, whoever comes first.

Two connections and real transactions: one of the two stands between its work and its commit, while
the other does the opposite.
"""

import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from pipeline.contracts.documents import read_plan_spec, read_run_spec
from pipeline.contracts.reports import Output
from pipeline.errors import SpecError
from studio.accounts.models import Role
from studio.datasets import services as dataset_services
from studio.registry import services as registry_services
from studio.registry.models import CheckpointParent
from studio.runs import lifecycle, services
from studio.runs.models import Run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
PAUSE_SECONDS = 0.3
"""For this long the one that came second must be seen waiting."""


class Scene:
    """A project with one thing that runs read, and the two who disagree about it."""

    def __init__(self, factories: Any) -> None:
        self.factories = factories
        self.project = factories.make_project()
        self.actor = factories.make_user("ann", project=self.project, role=Role.ADMIN)
        self.spec: dict[str, Any] = {}
        self.remove: Callable[[], None] = lambda: None

    def version(self) -> None:
        version = self.factories.make_import(self.project, self.actor).run.dataset_version
        dataset = version.reference()
        self.spec = self.factories.evaluation_spec(text_overlap={"dataset": dataset})
        self.remove = lambda: dataset_services.version_delete(version=version, actor=self.actor)

    def upload(self) -> None:
        upload = self.factories.make_upload(self.project, self.actor)
        self.spec = {
            "kind": "import_dataset",
            "source": {"path": str(upload.path), "digest": upload.sha256},
            "file_name": "table.csv",
            "dataset_kind": "domain_test",
        }
        self.remove = lambda: dataset_services.upload_discard(upload=upload, actor=self.actor)

    def checkpoint(self) -> None:
        checkpoint, _run = self.factories.make_checkpoint(self.project, self.actor)
        model = checkpoint.reference()
        self.spec = self.factories.evaluation_spec(model=model, base=model)
        self.remove = lambda: registry_services.checkpoint_delete(
            checkpoint=checkpoint, actor=self.actor
        )

    def training(self, name: str) -> Callable[[], bool]:
        """Finishes a run that made a model of a base which no page has named yet."""
        corpus = self.factories.evaluation_spec()["text_overlap"]["dataset"] | {"kind": "corpus"}
        self.spec = {
            "kind": "continual_pretrain",
            "name": name,
            "model": {"path": str(settings.STUDIO_DATA_DIR / "models" / "unnamed")},
            "sources": [{"name": "domain", "dataset": corpus, "weight": 1.0}],
            "num_tokens": 100,
            "optimizer": {"learning_rate": 0.001},
        }
        run = self.run_create()
        claim = lifecycle.claim(run.pk, slot=f"test/{name}", queue=run.queue)
        outputs = {"model": Output(path="model", digest=uuid.uuid4().hex * 2)}
        report = self.factories.make_report(run, outputs=outputs)
        assert claim is not None
        return lambda: lifecycle.finish_succeeded(run.pk, claim.attempt, report)

    def run_create(self) -> Run:
        return services.run_create(
            project=self.project, actor=self.actor, spec=read_run_spec(json.dumps(self.spec))
        )

    def plan_create(self) -> Any:
        document = {"kind": "plan", "name": "p", "steps": [{"id": "one", "spec": self.spec}]}
        return services.plan_create(
            project=self.project, actor=self.actor, spec=read_plan_spec(json.dumps(document))
        )

    def run_resume(self) -> Callable[[], Any]:
        run = self.run_create()
        services.run_cancel(run=run, actor=self.actor)
        return lambda: services.run_resume(run=run, actor=self.actor)

    def plan_restart(self) -> Callable[[], Any]:
        plan = self.plan_create()
        services.plan_cancel(plan=plan, actor=self.actor)
        return lambda: services.plan_restart(plan=plan, actor=self.actor)

    def starter(self, name: str) -> Callable[[], Any]:
        """The function of that name; what it continues exists already."""
        made = getattr(self, name)
        return made() if name in {"run_resume", "plan_restart"} else made


class Second(threading.Thread):
    """Does the opposite on a connection of its own."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act = act
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._act()
        except Exception as exc:  # noqa: BLE001 (looked at by the test)
            self.error = exc
        finally:
            connection.close()


@pytest.fixture
def scene(factories: Any) -> Scene:
    return Scene(factories)


@pytest.mark.slow
@pytest.mark.parametrize("starter", ["run_create", "plan_create", "run_resume", "plan_restart"])
@pytest.mark.parametrize("thing", ["version", "upload", "checkpoint"])
def test_what_is_being_removed_cannot_be_started_on(scene: Scene, thing: str, starter: str) -> None:
    getattr(scene, thing)()
    start = scene.starter(starter)
    before = Run.objects.count()
    with transaction.atomic():
        scene.remove()
        second = Second(start)
        second.join(PAUSE_SECONDS)
        assert second.is_alive(), "it did not wait for who came first"
    second.join()
    assert isinstance(second.error, SpecError)
    assert second.error.code == "spec.input_deleted"
    assert Run.objects.count() == before


@pytest.mark.slow
@pytest.mark.parametrize("starter", ["run_create", "plan_create", "run_resume", "plan_restart"])
@pytest.mark.parametrize("thing", ["version", "upload", "checkpoint"])
def test_what_is_being_started_on_cannot_be_removed(scene: Scene, thing: str, starter: str) -> None:
    getattr(scene, thing)()
    start = scene.starter(starter)
    with transaction.atomic():
        start()
        second = Second(scene.remove)
        second.join(PAUSE_SECONDS)
        assert second.is_alive(), "it did not wait for who came first"
    second.join()
    assert isinstance(second.error, ValidationError)
    assert second.error.code == "in_use"


def test_two_runs_on_one_new_base_succeed_at_once(scene: Scene) -> None:
    first, second_finish = scene.training("a-0"), scene.training("b-0")
    with transaction.atomic():
        assert first()
        second = Second(second_finish)
        second.join(PAUSE_SECONDS)
        assert second.is_alive()
    second.join()
    assert second.error is None
    assert Run.objects.filter(state="succeeded").count() == 2
    parents = CheckpointParent.objects.values_list("parent__name", flat=True)
    assert list(parents) == ["unnamed", "unnamed"]


def test_the_same_form_sent_twice_at_once_makes_one_run(scene: Scene) -> None:
    scene.version()
    spec = read_run_spec(json.dumps(scene.spec))

    def send() -> None:
        services.run_create(
            project=scene.project, actor=scene.actor, spec=spec, idempotency_key="k"
        )

    before = Run.objects.count()
    with transaction.atomic():
        send()
        second = Second(send)
        second.join(PAUSE_SECONDS)
    second.join()
    assert second.error is None
    assert Run.objects.count() == before + 1
    assert lifecycle.claim(
        Run.objects.get(idempotency_key="k").pk, slot="here/compute-0", queue="compute"
    )
