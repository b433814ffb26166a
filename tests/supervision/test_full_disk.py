"""A whole data directory, database included, on a disk that is full to the last block."""

import json
from pathlib import Path

import pytest

from tests.small_disk import small_disk
from tests.supervision.local_platform import Platform

pytestmark = pytest.mark.postgres

FAIL_A_RUN = """
import django; django.setup()
import json, os, sys, uuid
from pathlib import Path
from django.conf import settings
from pipeline.contracts.documents import read_run_spec
from studio.accounts.models import Project, User
from studio.runs import lifecycle, services
from studio.runs.paths import attempt_dir
from studio.storage.sweeping import sweep_old

project = Project.objects.create(slug="demo", name="Demo")
actor = User.objects.create(username="engineer", is_superuser=True)
settings.STUDIO_DISK_RESERVE_BYTES = -10**9
run = services.run_create(project=project, actor=actor, spec=read_run_spec(sys.argv[1]))
for attempt in (1, 2):
    lifecycle.claim(run.pk, slot=f"host/{attempt}", queue=run.queue)
    directory = attempt_dir(run.pk, attempt) / "checkpoints" / "step-5"
    directory.mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(os.urandom(3_000_000))
    if attempt == 1:
        lifecycle.attempt_lost(run.pk, 1, message="died")
lifecycle.finish_failed(
    run.pk, 2, code="train.diverged", message="", is_retryable=False, exit_status=5
)
sweep_old()  # holds the space that removing takes
print(run.pk)
"""


@pytest.mark.slow
def test_the_command_frees_a_disk_that_is_full_to_the_last_block(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", num_bytes=40_000_000) as disk:
        platform = Platform(disk.path)
        platform.python("manage.py", "migrate", "--verbosity", "0")
        spec = json.dumps(platform.spec("steps=1"))
        run_id = platform.python("-c", FAIL_A_RUN, spec).strip()
        disk.leave(0)
        assert disk.num_free == 0
        printed = platform.python("manage.py", "sweep_storage", "--days", "0")
        assert "2 removed" in printed
        assert disk.num_free * 4096 > 5_000_000
        assert not list(disk.path.glob(f"runs/{run_id}/attempt-*/checkpoints/*"))
        (event,) = platform.rows("SELECT * FROM accounts_auditevent WHERE action = ?",
                                 "storage.sweep")  # fmt: skip
        assert json.loads(event["details"])["num_paths"] == 2
        platform.close()
