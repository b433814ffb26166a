"""`manage.py demo` from nothing, with a tiny model: interrupted once, then to the end."""

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CURRENT = "SELECT step_id, state, attempt FROM runs_run WHERE plan_id IS NOT NULL"


@pytest.fixture
def demo(new_platform: Any, tmp_path: Path) -> Any:
    """Starts the demonstration on the platform's data directory."""
    platform = new_platform
    platform.environment["STUDIO_PIPELINE_COMMAND"] = ""
    base = platform.save_tiny_model(tmp_path / "own_model")
    # Byte-level tokens make the demonstration's questions long.
    config = json.loads((base / "config.json").read_text()) | {"max_position_embeddings": 4096}
    (base / "config.json").write_text(json.dumps(config))
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--base", str(base), "--budget", "smoke",
             "--no-stay", "--port", str(platform.port)],
            cwd=ROOT, env=platform.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_the_demonstration_goes_on_after_an_interruption_and_ends_in_figures(
    demo: Any, new_platform: Any
) -> None:
    platform = new_platform
    first = demo()
    assert first.stdout is not None
    said = ""
    while "The plan is at" not in said:
        line = first.stdout.readline()
        assert line, said
        said += line
    running = {"step_id": "evaluate_base", "state": "running", "attempt": 1}
    platform.wait(lambda: running in platform.rows(CURRENT))
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=120)
    assert not platform.broker_socket().exists()
    assert first.returncode == 75, said
    assert "started again it goes on" in said
    versions = "SELECT count(*) AS n FROM datasets_datasetversion"
    assert platform.rows(versions) == [{"n": 6}]
    states = {row["step_id"]: row["state"] for row in platform.rows(CURRENT)}
    assert states["evaluate_base"] == "queued"

    second = demo()
    said, _ = second.communicate(timeout=900)
    assert second.returncode == 0, said
    assert "1.39-1.52x" in said
    assert "/evaluations/published/" in said
    steps = platform.rows(CURRENT)
    assert len(steps) == 11
    assert {row["state"] for row in steps} == {"succeeded"}
    assert platform.rows(versions) == [{"n": 6}]
    spec = json.loads(platform.rows("SELECT spec FROM runs_run WHERE step_id = 'cpt'")[0]["spec"])
    read = [source["dataset"]["path"] for source in spec["sources"]]
    assert all("rows.parquet" in path for path in read), "the uploaded versions are what is read"
    assert len(json.loads((platform.data_dir / "demo/summary.json").read_text())["rows"]) == 6
    sign_in = platform.data_dir / "demo/sign_in.json"
    assert stat.S_IMODE(sign_in.stat().st_mode) == 0o600
    assert json.loads(sign_in.read_text())["password"] in said
