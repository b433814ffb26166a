"""Removal from a real disk: whole or not at all, never under a resumed run, always recorded."""

import errno
import hashlib
import json
import os
import signal
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from pipeline.contracts.manifest import MANIFEST_NAME, Manifest, ManifestFile, verify_checkpoint
from pipeline.contracts.reports import Output
from pipeline.errors import TrainingError
from studio.accounts.models import AuditEvent, Role
from studio.datasets.models import Upload, uploads_dir
from studio.runs import lifecycle, services
from studio.runs.models import Run
from studio.runs.paths import attempt_dir
from studio.storage import sweeping
from studio.storage.sweeping import limits_by_age, limits_now, look, remove_tree, sweep
from workers.dispatcher import Housekeeping

pytestmark = pytest.mark.postgres

OLD = timedelta(days=100)


@pytest.fixture
def data_dir(tmp_path: Path, settings) -> Path:
    settings.STUDIO_DATA_DIR = tmp_path
    (tmp_path / "uploads" / "partial").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def people(factories, data_dir: Path) -> SimpleNamespace:
    project = factories.make_project()
    admin = factories.make_user("admin", project=project, role=Role.ADMIN)
    return SimpleNamespace(project=project, admin=admin)


def save_checkpoint(run: Run, attempt: int, step: int, num_bytes: int = 20_000) -> Path:
    directory = attempt_dir(run.pk, attempt) / "checkpoints" / f"step-{step}"
    directory.mkdir(parents=True)
    content = os.urandom(num_bytes)
    (directory / "model.safetensors").write_bytes(content)
    file = ManifestFile(
        name="model.safetensors", num_bytes=num_bytes, sha256=hashlib.sha256(content).hexdigest()
    )
    manifest = Manifest(step=step, spec_digest=run.spec_digest, resumable=True, files=(file,))
    (directory / MANIFEST_NAME).write_text(manifest.model_dump_json())
    return directory


def start(run: Run) -> None:
    claim = lifecycle.claim(run.pk, slot=f"test/{uuid.uuid4()}", queue=run.queue)
    assert claim is not None
    directory = attempt_dir(run.pk, claim.attempt)
    directory.mkdir(parents=True)
    for name in ("spec.json", "events.jsonl", "stderr.log"):
        (directory / name).write_text("{}\n")
    run.refresh_from_db()


def age(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - OLD)
    run.refresh_from_db()


def failed_run(factories, people, *, steps: tuple[int, ...] = (5, 10)) -> Run:
    """Two attempts with checkpoints of the same steps; the run has failed long ago."""
    run = factories.make_run(people.project, people.admin)
    for attempt in (1, 2):
        start(run)
        for step in steps:
            save_checkpoint(run, attempt, step)
        (attempt_dir(run.pk, attempt) / "samples.parquet").write_bytes(bytes(9000))
        if attempt == 1:
            lifecycle.attempt_lost(run.pk, 1, message="died")
    lifecycle.finish_failed(
        run.pk, 2, code="train.diverged", message="", is_retryable=False, exit_status=5
    )
    age(run)
    return run


def left(run: Run) -> set[str]:
    """Everything in the run's attempts but the records: `<attempt>/<name>`."""
    found = set()
    for attempt in range(1, run.attempt + 1):
        directory = attempt_dir(run.pk, attempt)
        for path in (*directory.glob("*"), *directory.glob("checkpoints/*")):
            if path.name not in ("spec.json", "events.jsonl", "stderr.log", "checkpoints"):
                found.add(f"{attempt}/{path.name}")
    return found


def test_of_a_finished_run_only_the_published_attempt_stays(factories, people) -> None:
    run = factories.make_run(people.project, people.admin)
    for attempt in (1, 2):
        start(run)
        save_checkpoint(run, attempt, 5)
        (attempt_dir(run.pk, attempt) / "checkpoints" / ".step-6.partial").mkdir()
        if attempt == 1:
            lifecycle.attempt_lost(run.pk, 1, message="died")
    outputs = {"model": Output(path="checkpoints/step-5", digest="c" * 64)}
    assert lifecycle.finish_succeeded(run.pk, 2, factories.make_report(run, outputs=outputs))
    run.refresh_from_db()
    assert sweep(limits_now(), actor=None) == [], "it has just ended"
    age(run)
    for path in attempt_dir(run.pk, 1).parent.rglob(".step-6.partial"):
        os.utime(path, (0, 0))
    removed = sweep(limits_by_age(), actor=people.admin)
    assert left(run) == {"2/step-5"}
    assert sum(found.num_bytes for found in removed) > 20_000
    assert (attempt_dir(run.pk, 1) / "events.jsonl").exists()
    event = AuditEvent.objects.get(action="storage.sweep")
    assert (event.actor, event.project, event.target_id) == (
        people.admin, people.project, str(run.pk),
    )  # fmt: skip
    assert event.details["num_paths"] == len(removed)
    assert sweep(limits_by_age(), actor=None) == []


def test_a_failed_run_can_still_be_resumed_from_its_newest_checkpoint(factories, people) -> None:
    run = failed_run(factories, people)
    sweep(limits_by_age(), actor=None)
    assert left(run) == {"2/step-10", "2/samples.parquet"}
    continuation = services.run_resume(run=run, actor=people.admin)
    assert look(limits_by_age()) == []
    start(continuation)
    assert lifecycle.finish_succeeded(continuation.pk, 1, factories.make_report(continuation))
    age(continuation)
    sweep(limits_by_age(), actor=None)
    assert left(run) == set()


def test_the_checkpoint_that_stays_is_read_to_the_last_byte(factories, people) -> None:
    """Sizes are right and one bit is not: the supervisor would take the one before."""
    run = failed_run(factories, people)
    newest = attempt_dir(run.pk, 2) / "checkpoints" / "step-10" / "model.safetensors"
    content = bytearray(newest.read_bytes())
    content[777] ^= 1
    newest.write_bytes(content)
    sweep(limits_by_age(), actor=None)
    assert left(run) == {"2/step-5", "2/samples.parquet"}
    verify_checkpoint(attempt_dir(run.pk, 2) / "checkpoints" / "step-5")


def test_a_run_that_is_resumed_meanwhile_is_left_alone(
    factories, people, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = failed_run(factories, people)
    before = left(run)
    listed = sweeping.read_listing

    def list_then_resume(project):
        listing = listed(project)
        services.run_resume(run=run, actor=people.admin)
        return listing

    monkeypatch.setattr(sweeping, "read_listing", list_then_resume)
    assert sweep(limits_by_age(), actor=None) == []
    assert left(run) == before
    assert not AuditEvent.objects.filter(action="storage.sweep").exists()


def test_a_kill_at_any_moment_never_leaves_half_a_checkpoint(factories, people) -> None:
    run = factories.make_run(people.project, people.admin)
    start(run)
    checkpoints = attempt_dir(run.pk, 1) / "checkpoints"
    path = checkpoints / "step-5"
    outcomes = []
    for call in range(1, 20):
        if not path.exists():
            save_checkpoint(run, 1, 5, num_bytes=100)
        pid = os.fork()
        if pid == 0:
            _remove_and_die(path, call)
        _pid, status = os.waitpid(pid, 0)
        if path.exists():
            verify_checkpoint(path)
        outcomes.append(path.exists())
        if os.WIFEXITED(status):
            break
    # Killed before the rename it is whole, afterwards it is not there.
    assert outcomes == [True, *[False] * (len(outcomes) - 1)]
    assert len(outcomes) > 4
    assert [p for p in checkpoints.iterdir() if not p.name.startswith(".trash-")] == []
    assert list(checkpoints.glob(".trash-*"))
    lifecycle.finish_stopped(run.pk, 1, exit_status=75)
    sweep(limits_by_age(), actor=None)
    assert list(checkpoints.iterdir()) == []


def _remove_and_die(path: Path, call: int) -> None:
    """In a forked child: killed before its `call`th change of the disk."""
    remaining = call

    def killing(function):
        def change(*arguments, **options):
            nonlocal remaining
            remaining -= 1
            if remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return change

    os.rename, os.unlink, os.rmdir = killing(os.rename), killing(os.unlink), killing(os.rmdir)
    remove_tree(path)
    os._exit(0)


def test_links_are_removed_and_not_followed(factories, people, tmp_path: Path) -> None:
    run = failed_run(factories, people)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (attempt_dir(run.pk, 1) / "link").symlink_to(outside)
    (attempt_dir(run.pk, 1) / "checkpoints" / "step-99").symlink_to(outside)
    sweep(limits_by_age(), actor=None)
    assert left(run) == {"2/step-10", "2/samples.parquet"}
    assert (outside / "kept").read_text() == "kept"


def test_uploads_that_nobody_finished_go_and_others_stay(
    factories, people, django_capture_on_commit_callbacks
) -> None:
    finished = factories.make_import(people.project, people.admin)
    unread = factories.start_import(people.project, people.admin, content="question,answer\nA,B\n")
    orphan = uploads_dir() / f"{uuid.uuid4()}.csv"
    partial = uploads_dir() / "partial" / "tmpabc.upload.csv"
    for path in (orphan, partial):
        path.write_text("x")
        os.utime(path, (0, 0))
    fresh = uploads_dir() / "partial" / "tmpdef.upload.csv"
    fresh.write_text("x")
    Upload.objects.update(created_at=timezone.now() - OLD)
    sweep(limits_by_age(), actor=None)
    assert finished.upload.path.exists()
    assert unread.upload.path.exists(), "a queued run reads it"
    assert not orphan.exists()
    assert not partial.exists()
    assert fresh.exists()
    services.run_cancel(run=unread.run, actor=people.admin)
    with django_capture_on_commit_callbacks(execute=True):
        sweep(limits_by_age(), actor=None)
    assert not unread.upload.path.exists()
    unread.upload.refresh_from_db()
    assert unread.upload.discarded_at is not None
    assert AuditEvent.objects.get(action="dataset.discard").actor_name == "system"


def test_a_document_nobody_can_read_keeps_what_it_names_and_stops_nobody(factories, people) -> None:
    failed = failed_run(factories, people)
    queued = factories.make_run(people.project, people.admin)
    kept = attempt_dir(failed.pk, 1) / "checkpoints" / "step-5"
    Run.objects.filter(pk=queued.pk).update(spec={"kind": "unknown", "later": [{"at": str(kept)}]})
    sweep(limits_by_age(), actor=None)
    assert left(failed) == {"1/step-5", "2/step-10", "2/samples.parquet"}


def test_what_was_deleted_by_a_person_is_deleted_in_the_end(factories, people) -> None:
    from studio.datasets.services import version_delete

    version = factories.make_import(people.project, people.admin).run.dataset_version
    # The transaction of the test never commits, so the files stay, as after a crash.
    version_delete(version=version, actor=people.admin)
    assert version.rows_path.exists()
    sweep(limits_by_age(), actor=None)
    assert not version.rows_path.parent.exists()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_page_shows_what_could_go_asks_and_removes(
    client, factories, people, language: str
) -> None:
    client.force_login(people.admin)
    client.cookies["django_language"] = language
    url = reverse("storage:index", args=[people.project.slug])
    words = {"en": ("Nothing could be freed", "Remove"), "zh-hans": ("没有可释放", "移除")}[
        language
    ]
    assert words[0] in client.get(url).content.decode()
    run = failed_run(factories, people)
    html = client.get(url).content.decode()
    assert reverse("runs:detail", args=[people.project.slug, run.pk]) in html
    assert "<form" not in html.partition("<main")[2], "a question comes first"
    before = left(run)
    asked = client.get(url + "?confirm").content.decode()
    assert words[1] in asked
    assert left(run) == before
    free_url = reverse("storage:free", args=[people.project.slug])
    assert f'action="{free_url}"' in asked
    page = client.post(free_url, follow=True)
    assert page.status_code == 200
    assert left(run) == {"2/step-10", "2/samples.parquet"}
    assert words[0] in page.content.decode()


def test_a_projects_administrator_frees_only_the_project(client, factories, people) -> None:
    other = factories.make_project("other", "Other")
    root = factories.make_user("root", is_superuser=True)
    ours = failed_run(factories, people)
    theirs = failed_run(factories, SimpleNamespace(project=other, admin=root))
    client.force_login(people.admin)
    client.post(reverse("storage:free", args=[people.project.slug]))
    assert len(left(ours)) == 2
    assert len(left(theirs)) == 6
    client.force_login(root)
    assert "Other" in client.get(reverse("storage:site")).content.decode()
    client.post(reverse("storage:site_free"))
    assert len(left(theirs)) == 2


def test_the_command_lists_before_it_removes(factories, people, capsys) -> None:
    run = failed_run(factories, people)
    before = left(run)
    call_command("sweep_storage", "--dry-run")
    listed = capsys.readouterr().out
    assert f"runs/{run.pk}/attempt-1/checkpoints/step-5" in listed
    assert "4 would be removed" in listed
    assert left(run) == before
    call_command("sweep_storage", "--days", "200")
    assert left(run) == before
    call_command("sweep_storage", "--project", people.project.slug)
    assert "4 removed" in capsys.readouterr().out
    assert left(run) == {"2/step-10", "2/samples.parquet"}
    with pytest.raises(CommandError, match="no project"):
        call_command("sweep_storage", "--project", "nothing")


def test_the_dispatcher_keeps_house_beside_its_loop(settings, monkeypatch) -> None:
    begun, finish = threading.Event(), threading.Event()

    def sweep_old() -> int:
        begun.set()
        finish.wait(10)
        raise OSError(errno.EIO, "a disk that fails must not end the dispatcher")

    monkeypatch.setattr("studio.storage.sweeping.sweep_old", sweep_old)
    house = Housekeeping()
    assert house.start() == 1
    assert begun.wait(10)
    assert house.start() == 0, "the last one still runs"
    finish.set()
    house._thread.join(10)
    assert house.start() == 1
    house._thread.join(10)


def test_a_manifest_that_is_none_makes_no_checkpoint(factories, people) -> None:
    run = failed_run(factories, people)
    newest = attempt_dir(run.pk, 2) / "checkpoints" / "step-10"
    for content in ("", "[]", "{}", json.dumps({"files": 3}), "\0"):
        (newest / MANIFEST_NAME).write_text(content)
        with pytest.raises(TrainingError):
            verify_checkpoint(newest)
        kept = {found.choice.path.rpartition("attempt-")[2] for found in look(limits_by_age())}
        assert "2/checkpoints/step-10" in kept
        assert "2/checkpoints/step-5" not in kept
