"""A disk that fills at any write: what is there stays whole, what is new is whole or absent.

`leave(n)` leaves n blocks free, for every n from none to what the work takes, so that each write in
turn is the one that fails; the file system is real (`tests/small_disk.py`).
"""

import errno
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors
import safetensors.numpy

from pipeline.__main__ import main
from pipeline.contracts.events import Event, Progress, RunFailed, parse_event
from pipeline.contracts.manifest import newest_verified_checkpoint, verify_checkpoint
from pipeline.contracts.reports import parse_report
from pipeline.durable import partial_path
from pipeline.errors import ModelError, StorageError, is_disk_full
from pipeline.evaluation.general_ability import ChoiceResult
from pipeline.evaluation.samples import write_samples
from pipeline.execution import JsonlEventSink
from pipeline.modeling.loading import load_tokenizer
from pipeline.modeling.tiny import save_tiny_model, tiny_llama
from pipeline.training.checkpoint import TrainingState, save_checkpoint
from studio.runs.disk_estimates import (
    FLOAT32_BYTES,
    STATES_PER_WEIGHT,
    TOKENIZER_BYTES,
    stored_model_bytes,
    tree_bytes,
)
from tests.small_disk import SmallDisk, small_disk

ROOT = Path(__file__).resolve().parents[2]
FULL = StorageError.exit_status


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", num_bytes=2_000_000) as disk:
        yield disk


def until_it_fits(disk: SmallDisk, *, step: int = 1) -> Iterator[int]:
    """Numbers of free blocks, from none up; the caller stops at the first that is enough."""
    for num_blocks in range(0, disk.num_free, step):
        disk.leave(num_blocks)
        yield num_blocks
        disk.leave_all()
    pytest.fail("it never fits")


def fits(write: Callable[[], object]) -> bool:
    """Whether the disk had room for what `write` does; another error is raised."""
    try:
        write()
    except Exception as exc:
        if not is_disk_full(exc):
            raise
        return False
    return True


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def events_in(path: Path) -> list[Event]:
    """Those of whole lines; a line that a full disk tore is none."""
    found = []
    for line in lines_of(path):
        try:
            found.append(parse_event(line.decode()))
        except ValueError:
            continue
    return found


def test_an_event_is_in_the_file_or_the_caller_knows(disk: SmallDisk) -> None:
    path = disk.path / "events.jsonl"
    for num_blocks in range(12):
        path.unlink(missing_ok=True)
        sink = JsonlEventSink(path, run_id="r", attempt=1)
        disk.leave(num_blocks)
        said: list[float] = []
        for done in range(1000):
            progress = Progress(stage="s" * 61, done=done, total=1000, unit="")
            if not fits(functools.partial(sink.emit, progress)):
                break
            said.append(done)
        assert len(said) < 1000
        disk.leave_all()
        # Somebody made room: the torn line garbles nothing that follows.
        sink.emit(Progress(stage="s", done=-1, total=1000, unit=""))
        sink.close()
        events = events_in(path)
        assert [event.payload.done for event in events] == [*said, -1]
        assert len(lines_of(path)) - len(events) <= 1
        assert num_blocks == 0 or said


def test_a_checkpoint_is_whole_or_absent_and_the_older_one_stays(disk: SmallDisk) -> None:
    tokenizer = load_tokenizer(save_tiny_model(disk.path.parent / "tiny"))
    model = tiny_llama(hidden_size=16, num_layers=1)

    def save(step: int) -> Path:
        optimizer = {name: value.detach() for name, value in model.named_parameters()}
        state = TrainingState(step=step, spec_digest="0" * 64, progress={}, optimizer=optimizer)
        return save_checkpoint(disk.path, state, model=model, tokenizer=tokenizer)[0]

    older = save(1)
    num_failed = 0
    for _num_blocks in until_it_fits(disk):
        if fits(lambda: save(2)):
            break
        num_failed += 1
        assert [path.name for path in (disk.path / "checkpoints").iterdir()] == ["step-1"]
        assert newest_verified_checkpoint(disk.path) == older
    assert verify_checkpoint(disk.path / "checkpoints" / "step-2").step == 2
    assert num_failed > 15


def test_a_checkpoint_takes_no_more_than_the_disk_guard_expects(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save_tiny_model(tmp_path / "tiny"))
    model = tiny_llama(hidden_size=256, num_layers=4)
    weights = {name: value.detach() for name, value in model.named_parameters()}
    moments = {
        f"{name}/{moment}": weights[name].clone() for name in weights for moment in ("m", "v")
    }
    state = TrainingState(step=1, spec_digest="0" * 64, progress={}, optimizer=moments)
    directory, _sha256 = save_checkpoint(tmp_path, state, model=model, tokenizer=tokenizer)
    num_parameters = sum(value.numel() for value in weights.values())
    written = tree_bytes(directory)
    expected = STATES_PER_WEIGHT * FLOAT32_BYTES * num_parameters
    assert expected <= written <= expected + TOKENIZER_BYTES
    assert stored_model_bytes(directory) >= FLOAT32_BYTES * num_parameters


def test_samples_are_whole_or_absent(disk: SmallDisk) -> None:
    path = disk.path / "samples.parquet"
    results = [
        ChoiceResult(
            item_id=str(number), category="c", cluster=None, lang="en",
            question=os.urandom(30).hex(), choices=("a", "b"), answer=0,
            log_likelihoods=(-1.0, -2.0),
        )
        for number in range(400)
    ]  # fmt: skip
    num_failed = 0
    for _num_blocks in until_it_fits(disk):
        if fits(lambda: write_samples([], results, path)):
            break
        num_failed += 1
        assert not path.exists()
        assert not partial_path(path).exists()
    assert pq.read_table(path).num_rows == 400
    assert num_failed > 3


def run_import(run_dir: Path, source: Path) -> int:
    """Exit status of `python -m pipeline run` in this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    spec = source.with_name("spec.json")
    spec.write_text(
        json.dumps(
            {
                "kind": "import_dataset", "source": {"path": str(source)}, "file_name": "t.csv",
                "dataset_kind": "domain_test", "policy": "valid_rows",
            }
        )
    )  # fmt: skip
    try:
        return main(["run", str(spec), "--run-dir", str(run_dir), "--run-id", "r"])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.slow
def test_a_run_ends_with_a_code_that_asks_for_another_attempt(disk: SmallDisk) -> None:
    source = disk.path.parent / "table.csv"
    rows = "".join(f"Q{n},{os.urandom(30).hex() if n % 7 else ''}\n" for n in range(2000))
    source.write_text("question,answer\n" + rows)
    statuses = []
    for num_blocks in until_it_fits(disk):
        run_dir = disk.path / f"run-{num_blocks}"
        statuses.append(run_import(run_dir, source))
        report = run_dir / "report.json"
        if statuses[-1] == 0:
            break
        assert statuses[-1] == FULL
        assert not report.exists()
        failures = [
            event.payload
            for event in events_in(run_dir / "events.jsonl")
            if isinstance(event.payload, RunFailed)
        ]
        assert all(failure.code == "storage.full" and failure.retryable for failure in failures)
        if num_blocks % 10 == 3:
            # The same directory, once there is room: an attempt that starts anew.
            disk.leave_all()
            assert run_import(run_dir, source) == 0
            parse_report(report.read_bytes())
        for path in sorted(run_dir.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    parse_report(report.read_bytes())
    assert len(statuses) > 8


def test_the_exit_status_speaks_where_neither_events_nor_stderr_can(disk: SmallDisk) -> None:
    source = disk.path.parent / "table.csv"
    source.write_text("question,answer\nQ,A\n")
    run_dir = disk.path / "run"
    run_dir.mkdir()
    spec = source.with_name("spec.json")
    spec.write_text(
        json.dumps(
            {
                "kind": "import_dataset", "source": {"path": str(source)}, "file_name": "t.csv",
                "dataset_kind": "domain_test",
            }
        )
    )  # fmt: skip
    with (disk.path / "stderr.log").open("ab") as log:
        disk.leave(0)
        command = ["-m", "pipeline", "run", str(spec), "--run-dir", str(run_dir)]
        status = subprocess.run(
            [sys.executable, *command], cwd=ROOT, stdout=log, stderr=log, check=False,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        ).returncode  # fmt: skip
    assert status == FULL
    assert (disk.path / "stderr.log").read_bytes() == b""


def test_a_full_disk_is_seen_through_every_librarys_own_error(disk: SmallDisk) -> None:
    disk.leave(0)
    with pytest.raises(safetensors.SafetensorError) as caught:
        safetensors.numpy.save_file({"a": np.zeros(10_000)}, disk.path / "a.safetensors")
    assert is_disk_full(caught.value)
    wrapped = ModelError("model.not_found", "no model")
    wrapped.__cause__ = OSError(errno.EDQUOT, "quota")
    assert is_disk_full(wrapped)
    others = (OSError(errno.EIO, ""), ValueError("os error 280"), ModelError("model.no_space", ""))
    assert not any(is_disk_full(other) for other in others)
