"""The disk guard: what can never fit is refused with the numbers, what has to wait says why."""

import json
import os
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from pipeline.contracts.distillation_spec import EarlyStop
from pipeline.contracts.documents import read_run_spec
from pipeline.errors import SpecError
from studio.accounts.models import Role
from studio.datasets.models import Upload
from studio.registry.models import Checkpoint
from studio.runs import disk, lifecycle
from studio.runs.disk_estimates import (
    RECORDS_BYTES,
    TOKENIZER_BYTES,
    plan_writes,
    run_writes,
    stored_model_bytes,
    tree_bytes,
)
from studio.runs.models import Attempt
from studio.runs.paths import attempt_dir
from studio.runs.states import RunState
from tests.small_disk import small_disk
from workers.devices import DeviceSlot
from workers.supervisor import supervise

pytestmark = pytest.mark.postgres

GOLDEN = Path(__file__).resolve().parents[1] / "contract" / "golden"
TRAINING = ("continual_pretrain", "curriculum_sft")
KINDS = (*TRAINING, "logit_distill", "evaluate", "speculative_decode", "preview_dataset",
         "import_dataset", "import_checkpoint", "check_dataset", "mask_dataset",
         "preview_tokens")  # fmt: skip
TERABYTES = 10**15


def golden_spec(kind: str):
    return read_run_spec(
        json.dumps(json.loads((GOLDEN / f"{kind}.json").read_text())["written"])
    ).spec


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_estimate_that_grows_with_the_model(kind: str) -> None:
    spec = golden_spec(kind)
    small, large = (run_writes(spec, lambda _ref, n=n: n * 4) for n in (10**6, 10**8))
    assert RECORDS_BYTES <= small.kept <= small.peak
    assert small.peak <= large.peak
    if kind in TRAINING:
        # 100 M parameters: weights and two moments in float32, three times.
        assert large.peak == RECORDS_BYTES + 3 * (TOKENIZER_BYTES + 12 * 10**8)
        assert large.kept == RECORDS_BYTES + TOKENIZER_BYTES + 4 * 10**8


def test_the_best_draft_so_far_is_one_more_copy_in_each_checkpoint() -> None:
    spec = golden_spec("logit_distill")
    choosing = spec.model_copy(update={"early_stop": EarlyStop()})
    last, best = (run_writes(one, lambda _ref: 4 * 10**6) for one in (spec, choosing))
    assert (best.kept, best.peak) == (last.kept, last.peak + 3 * 4 * 10**6)


def test_a_plan_needs_what_stays_and_the_worst_of_what_goes() -> None:
    steps = [run_writes(golden_spec(kind), lambda _ref: 4 * 10**8) for kind in KINDS]
    plan = plan_writes(steps)
    assert plan.kept == sum(step.kept for step in steps)
    assert max(step.peak for step in steps) <= plan.peak < sum(step.peak for step in steps)
    assert plan_writes([]).peak == 0


def test_sizes_are_those_on_disk_and_links_count_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.safetensors").write_bytes(bytes(100_000))
    (tmp_path / "outside").write_bytes(bytes(10_000_000))
    (tmp_path / "model" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "model" / "back").symlink_to(tmp_path)
    with (tmp_path / "model" / "sparse").open("wb") as file:
        os.ftruncate(file.fileno(), 10**12)
    assert 100_000 <= tree_bytes(tmp_path / "model") < 120_000
    assert stored_model_bytes(tmp_path / "model") == 200_000  # may be bfloat16
    assert stored_model_bytes(tmp_path / "nothing") == tree_bytes(tmp_path / "nothing") == 0


def test_the_registrys_count_of_parameters_beats_the_size_of_files(factories, settings) -> None:
    project = factories.make_project()
    user = factories.make_user("e", project=project, role=Role.ENGINEER)
    checkpoint, _run = factories.make_checkpoint(project, user)
    Checkpoint.objects.filter(pk=checkpoint.pk).update(num_parameters=10**12)
    spec = golden_spec("continual_pretrain")
    reference = spec.model.model_copy(update={"path": str(checkpoint.model_path)})
    with pytest.raises(SpecError, match=r"32\.7") as caught:  # 36e12 bytes in binary terabytes
        disk.refuse_what_never_fits([spec.model_copy(update={"model": reference})])
    assert caught.value.code == "spec.no_disk_space"


def test_a_launch_that_cannot_fit_is_refused_with_the_numbers(client, factories, settings) -> None:
    project = factories.make_project()
    user = factories.make_user("e", project=project, role=Role.ENGINEER)
    settings.STUDIO_DISK_RESERVE_BYTES = TERABYTES
    with pytest.raises(SpecError) as caught:
        factories.make_run(project, user)
    assert caught.value.code == "spec.no_disk_space"
    with pytest.raises(SpecError):
        factories.make_plan(project, user)
    assert not project.runs.exists()
    client.force_login(user)
    client.cookies["django_language"] = "en"
    url = reverse("launch:run", args=[project.slug]) + "?kind=evaluate"
    document = json.dumps(factories.evaluation_spec())
    page = client.post(url, {"document": document, "document_key": "k"})
    assert page.status_code == 400
    html = page.content.decode()
    assert "This may write up to 64.0" in html
    assert "909.5" in html  # the reserve in binary terabytes


def test_a_queued_run_waits_for_room_and_says_so(client, factories, settings, tmp_path) -> None:
    project = factories.make_project()
    user = factories.make_user("e", project=project, role=Role.ENGINEER)
    run = factories.make_run(project, user)
    assert disk.has_room(run.pk)
    settings.STUDIO_DISK_RESERVE_BYTES = TERABYTES
    slot = DeviceSlot(name="compute-0", queue="compute", lock_dir=tmp_path)
    supervise(run.pk, slot=slot, is_draining=lambda: False)
    run.refresh_from_db()
    assert run.state == RunState.QUEUED
    assert not Attempt.objects.filter(run=run).exists()
    client.force_login(user)
    for language, words in (("en", "It waits for disk space"), ("zh-hans", "正在等待磁盘空间")):
        client.cookies["django_language"] = language
        page = client.get(reverse("runs:status", args=[project.slug, run.pk]))
        assert words in page.content.decode()


def test_what_running_runs_may_still_write_is_promised_to_them(
    factories, settings, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "data", num_bytes=RECORDS_BYTES * 3 // 2) as small:
        settings.STUDIO_DATA_DIR = small.path
        settings.STUDIO_DISK_RESERVE_BYTES = 0
        project = factories.make_project()
        user = factories.make_user("e", project=project, role=Role.ENGINEER)
        first, second = (factories.make_run(project, user) for _number in range(2))
        assert disk.room().promised == 0
        assert disk.has_room(second.pk)
        assert lifecycle.claim(first.pk, slot="test/slot", queue="compute") is not None
        assert disk.room().promised == RECORDS_BYTES
        assert not disk.has_room(second.pk)
        # What was written is free no more, and promised no more.
        directory = attempt_dir(first.pk, 1)
        directory.mkdir(parents=True)
        (directory / "samples.parquet").write_bytes(bytes(10 << 20))
        assert disk.room().promised == RECORDS_BYTES - (10 << 20)
        # It fits once the first has ended, so asking for one more is not refused.
        factories.make_run(project, user, name="third")
        lifecycle.finish_stopped(first.pk, 1, exit_status=75)
        assert disk.has_room(second.pk)


def test_an_upload_that_does_not_fit_is_not_written(client, factories, settings) -> None:
    project = factories.make_project()
    client.force_login(factories.make_user("e", project=project, role=Role.EXPERT))
    client.cookies["django_language"] = "en"
    settings.STUDIO_DISK_RESERVE_BYTES = TERABYTES
    url = reverse("datasets:upload", args=[project.slug])
    file = SimpleUploadedFile("table.csv", b"question,answer\nQ,A\n")
    page = client.post(url, {"file": file, "kind": "domain_test", "name": "T"})
    assert page.status_code == 400
    assert "There is no room on the disk" in page.content.decode()
    assert not Upload.objects.exists()
