"""An import that is killed at any moment leaves no version, or the whole one."""

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.supervision.local_platform import Platform

pytestmark = [pytest.mark.recipes, pytest.mark.slow, pytest.mark.postgres]
NUM_ROWS = 100_000
NUM_KILLS = 4
LONGEST_WAIT = 6.0
"""Seconds from a child's start to its kill, at most: about as long as it reads."""
SEND = """
import sys; from pathlib import Path; import django; django.setup()
from django.core.files.uploadedfile import TemporaryUploadedFile
from studio.accounts.models import Membership, Project, Role, User
from studio.datasets import services
project, _ = Project.objects.get_or_create(slug="demo", defaults={"name": "Demo"})
actor, _ = User.objects.get_or_create(username="expert")
Membership.objects.get_or_create(project=project, user=actor, defaults={"role": Role.EXPERT})
data = Path(sys.argv[1]).read_bytes()
file = TemporaryUploadedFile("rows.jsonl", "application/jsonl", len(data), None)
file.write(data); file.flush()
upload = services.upload_create(project=project, actor=actor, file=file,
                                sha256=services.file_sha256(file))
started = services.import_start(upload=upload, actor=actor, dataset_name=sys.argv[2],
                                kind="domain_test", policy="valid_rows")
print(started.run_id)
"""


@pytest.fixture
def real_platform(tmp_path: Path) -> Iterator[Platform]:
    platform = Platform(tmp_path / "data", STUDIO_PIPELINE_COMMAND="")
    try:
        platform.start()
        yield platform
    finally:
        platform.close()


def test_a_killed_import_leaves_no_version_or_the_whole_one(
    real_platform: Platform, tmp_path: Path
) -> None:
    platform, rng = real_platform, random.Random(11)
    lines = (
        json.dumps({"instruction": f"Q{number}", "output": "A" if number % 10 else ""})
        for number in range(NUM_ROWS)
    )
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n")
    for number in range(NUM_KILLS):
        run_id = UUID(platform.python("-c", SEND, str(path), f"set {number}").strip())
        child = platform.pid_of_child(run_id)
        victim = platform.parent(child) if number % 2 else child
        time.sleep(rng.uniform(0, LONGEST_WAIT))
        _kill(victim)
        assert _versions(platform, run_id) in ([], [NUM_ROWS * 9 // 10])
        platform.wait_for_state(run_id, "succeeded", "failed", seconds=120)
        assert platform.run(run_id)["state"] == "succeeded"
        assert _versions(platform, run_id) == [NUM_ROWS * 9 // 10]


def _kill(pid: int) -> None:
    """The process is gone, unless it had ended before."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _versions(platform: Platform, run_id: UUID) -> list[int]:
    """Rows of the versions of the run, each of whose files is as its record says."""
    sql = "SELECT path, digest, num_rows FROM datasets_datasetversion WHERE run_id = ?"
    found = platform.rows(sql, run_id.hex)
    for version in found:
        content = (platform.data_dir / version["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == version["digest"]
    return [version["num_rows"] for version in found]
