"""`manage.py demo` from nothing, with a tiny model: interrupted once, then to the end.

The whole recipe runs here and nowhere else in the tests: the platform's side and the figures are
both asserted on, and what the platform trained is trained again by the command line.
"""

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.__main__ import main
from pipeline.demo.report_html import write_report
from pipeline.demo.summary import Summary, summarize
from pipeline.demo.tables import as_table
from pipeline.modeling.tiny import save_tiny_model
from tests.supervision.local_platform import Platform

pytestmark = [pytest.mark.recipes, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
CURRENT = "SELECT id, step_id, state, attempt, spec FROM runs_run WHERE plan_id IS NOT NULL"
STATES = "SELECT step_id, state, attempt FROM runs_run WHERE plan_id IS NOT NULL"
VERSIONS = "SELECT count(*) AS n FROM datasets_datasetversion"


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What two starts of the command said and left behind."""

    platform: Platform
    interrupted_status: int
    interrupted_output: str
    interrupted_states: dict[str, str]
    """State of each step between the two starts."""
    interrupted_num_versions: int
    had_broker: bool
    """Whether the broker's socket outlived the first start."""
    status: int
    output: str

    def step_dirs(self) -> dict[str, Path]:
        """The run directory of each step's published attempt."""
        runs = self.platform.data_dir / "runs"
        return {
            row["step_id"]: runs / str(UUID(row["id"])) / f"attempt-{row['attempt']}"
            for row in self.platform.rows(CURRENT)
        }


@pytest.fixture(scope="module")
def platform_of_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = Platform(
        tmp_path_factory.mktemp("demo") / "data",
        STUDIO_PIPELINE_COMMAND="",
        STUDIO_COMPUTE_THREADS="1",
    )
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def start(
    platform_of_demo: Platform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the demonstration on the platform's data directory."""
    platform = platform_of_demo
    base = save_tiny_model(tmp_path_factory.mktemp("own") / "own_model")
    # Byte-level tokens make the demonstration's questions long.
    config = json.loads((base / "config.json").read_text()) | {"max_position_embeddings": 4096}
    (base / "config.json").write_text(json.dumps(config))
    started: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--base", str(base), "--budget", "smoke",
             "--no-stay", "--port", str(platform.port)],
            cwd=ROOT, env=platform.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def demonstration(
    platform_of_demo: Platform, start: Callable[[], subprocess.Popen[str]]
) -> Demonstration:
    """Interrupted in its first evaluation, started again, ended."""
    platform = platform_of_demo
    first = start()
    assert first.stdout is not None
    said = ""
    while "The plan is at" not in said:
        line = first.stdout.readline()
        assert line, said
        said += line
    running = {"step_id": "evaluate_base", "state": "running", "attempt": 1}
    platform.wait(lambda: running in platform.rows(STATES))
    first.send_signal(signal.SIGINT)
    rest, _ = first.communicate(timeout=120)
    had_broker = platform.broker_socket().exists()
    states = {row["step_id"]: row["state"] for row in platform.rows(STATES)}
    (versions,) = platform.rows(VERSIONS)
    second = start()
    output, _ = second.communicate(timeout=900)
    return Demonstration(
        platform=platform,
        interrupted_status=first.returncode,
        interrupted_output=said + rest,
        interrupted_states=states,
        interrupted_num_versions=versions["n"],
        had_broker=had_broker,
        status=second.returncode,
        output=output,
    )


def test_an_interruption_leaves_what_can_go_on(demonstration: Demonstration) -> None:
    assert not demonstration.had_broker
    assert demonstration.interrupted_status == 75, demonstration.interrupted_output
    assert "started again it goes on" in demonstration.interrupted_output
    assert demonstration.interrupted_num_versions == 7
    assert demonstration.interrupted_states["evaluate_base"] == "queued"


def test_the_demonstration_goes_on_and_ends_in_figures(demonstration: Demonstration) -> None:
    platform, said = demonstration.platform, demonstration.output
    assert demonstration.status == 0, said
    assert "1.39-1.52x" in said
    assert "/evaluations/published/" in said
    steps = platform.rows(CURRENT)
    assert len(steps) == 11
    assert {row["state"] for row in steps} == {"succeeded"}
    assert platform.rows(VERSIONS) == [{"n": 7}]
    spec = json.loads(next(row["spec"] for row in steps if row["step_id"] == "cpt"))
    read = [source["dataset"]["path"] for source in spec["sources"]]
    assert all("rows.parquet" in path for path in read), "the uploaded versions are what is read"
    summary = Summary.model_validate_json((platform.data_dir / "demo/summary.json").read_bytes())
    assert len(summary.claims) == 6
    sign_in = platform.data_dir / "demo/sign_in.json"
    assert stat.S_IMODE(sign_in.stat().st_mode) == 0o600
    assert json.loads(sign_in.read_text())["password"] in said


def test_the_figures_stand_beside_the_papers(demonstration: Demonstration, tmp_path: Path) -> None:
    summary = summarize(demonstration.step_dirs())
    assert [row.claim.published for row in summary.claims] == [
        "99.8%", "1.08x", "1.17x", "1.02x", "1.06x", "1.39-1.52x",
    ]  # fmt: skip
    assert len(summary.seconds) == 11
    assert summary.benchmark.losslessness.is_lossless is True
    assert set(summary.benchmark.arms) == {
        "autoregressive", "ngram", "distilled", "control_target_text", "control_gold", "store",
        "combined",
    }  # fmt: skip
    assert "1.39-1.52x" in as_table(summary)
    write_report(summary, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    body = page[page.index("<body>") :]
    assert "通用能力" in body
    assert "General ability" in body
    assert "http://" not in body
    assert "<script src" not in page


def test_the_command_line_gives_the_platforms_weights(
    demonstration: Demonstration, tmp_path: Path
) -> None:
    step = demonstration.step_dirs()["cpt"]
    assert main(["run", str(step / "spec.json"), "--run-dir", str(tmp_path / "cpt")]) == 0
    first, again = (
        json.loads((directory / "report.json").read_text())["outputs"]["model"]["digest"]
        for directory in (step, tmp_path / "cpt")
    )
    assert again == first
