"""Many processes at one SQLite file: every run has one owner, and nobody sees a lock error."""

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.postgres

NUM_RACERS = 4
NUM_RUNS = 25
RACE_SCRIPT = """
import json, sys, time
import django; django.setup()
from pipeline.contracts.events import Event, Progress
from studio.runs import lifecycle
from studio.runs.models import Run
slot, start = sys.argv[1], float(sys.argv[2])
runs = list(Run.objects.order_by("created_at", "pk").values_list("pk", flat=True))
time.sleep(max(0, start - time.time()))
won = []
for run_id in runs:
    claim = lifecycle.claim(run_id, slot=slot, queue="compute")
    if claim is None:
        continue
    for seq in (1, 2, 3):
        event = Event(
            run_id=str(run_id), attempt=claim.attempt, seq=seq, kind="Progress",
            at="2026-01-01T00:00:00+00:00",
            payload=Progress(stage="s", done=seq, total=3, unit="x"),
        )
        line = event.model_dump_json().encode()
        assert lifecycle.ingest_events(run_id, claim.attempt, [line])
        assert lifecycle.renew(run_id, claim.attempt)
    lifecycle.finish_failed(
        run_id, claim.attempt, code="c", message="m", is_retryable=False, exit_status=1
    )
    won.append(str(run_id))
print(json.dumps(won))
"""


def test_of_many_claimants_one_wins_each_run(new_platform: Any) -> None:
    new_platform.python("manage.py", "migrate", "--verbosity=0")
    runs = new_platform.start_runs(*[new_platform.spec(f"steps={n}") for n in range(NUM_RUNS)])
    start = str(new_platform.now() + 3)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE_SCRIPT, f"host/compute-{number}", start],
            env=new_platform.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(NUM_RACERS)
    ]  # fmt: skip
    won: list[str] = []
    for racer in racers:
        output, errors = racer.communicate(timeout=120)
        assert racer.returncode == 0, errors
        won += json.loads(output)
    assert sorted(won) == sorted(map(str, runs))
    assert {row["attempt"] for row in new_platform.rows("SELECT attempt FROM runs_run")} == {1}
    events = new_platform.rows("SELECT count(*) AS n FROM runs_runevent")
    assert events == [{"n": 3 * NUM_RUNS}]
