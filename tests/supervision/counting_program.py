"""Stands where `python -m pipeline` stands: the same command line, files, events and exit codes.

It "trains" by hashing: the state after step n is sha256(state after n-1, n), so a run that was
killed and resumed anywhere ends with the same state as an undisturbed one only if no step was
skipped or repeated. Real training behind the same supervisor is tested in
`test_real_training.py`; this program makes the faults cheap and exact.

The spec's `name` holds the orders: `steps=40 pause=0.05 ignore_term=1 ...`. Imports are short
already, so they are handed to the real pipeline.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

from pipeline.contracts.documents import read_spec
from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.events import RunFailed, RunStarted, RunStopped, RunSucceeded
from pipeline.contracts.manifest import MANIFEST_NAME, Manifest, ManifestFile, file_sha256
from pipeline.contracts.reports import Environment, Output, Report
from pipeline.contracts.training_results import ContinualPretrainResults
from pipeline.errors import StorageError, is_disk_full
from pipeline.execution import JsonlEventSink, RunContext

CHECKPOINT_EVERY = 5
TRAINED = ContinualPretrainResults(
    steps=1, tokens=1, trained_tokens=1, seconds=1.0, tokens_per_second=1.0, tokens_by_source={},
    loss_first=1.0, loss_last=1.0, epochs_by_source={}, heldout=(),
)  # fmt: skip


def main() -> int:
    parser = ArgumentParser()
    parser.add_argument("command", choices=["run"])
    parser.add_argument("spec", type=Path)
    parser.add_argument("--run-dir", type=Path)
    parser.add_argument("--run-id")
    parser.add_argument("--attempt", type=int)
    parser.add_argument("--resume-from", type=Path)
    arguments = parser.parse_args()
    document = read_spec(arguments.spec.read_bytes())
    spec = document.spec
    if spec.kind.startswith("import_"):
        os.execv(sys.executable, [sys.executable, "-m", "pipeline", *sys.argv[1:]])  # noqa: S606
    orders = dict(order.split("=") for order in spec.name.split())
    run_dir: Path = arguments.run_dir
    (run_dir / "environment.json").write_text(json.dumps(dict(os.environ)))
    if orders.get("crash"):
        sys.stderr.write("about to crash\n")
        return int(orders["crash"])
    if orders.get("chatter"):
        for _megabyte in range(int(orders["chatter"])):
            os.write(2, b"\xffchatter" * 125_000)
        return 3
    sink = JsonlEventSink(
        run_dir / "events.jsonl", run_id=arguments.run_id, attempt=arguments.attempt
    )
    context = RunContext(
        run_dir=run_dir,
        spec_digest=document.digest,
        events=sink,
        resume_from=arguments.resume_from,
    )
    context.stop.install()
    if orders.get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if orders.get("leave_behind"):
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    sink.emit(RunStarted(spec_kind=spec.kind, spec_digest=document.digest))
    if orders.get("nul"):
        sys.stderr.write("half a \x00 byte\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    for number in range(int(orders.get("events", "0"))):
        context.log_metrics(number, loss=1.0)
    if orders.get("long_line"):
        with (run_dir / "events.jsonl").open("ab") as file:
            file.write(b"x" * (32 << 20) + b"\n")
    if orders.get("fail"):
        sink.emit(
            RunFailed(
                code="train.diverged",
                message="loss is 80",
                retryable=bool(orders.get("retryable")),
            )
        )
        return 5
    steps = int(orders.get("steps", "10"))
    step, state = _restore(arguments.resume_from)
    progress = context.progress("count", total=steps, unit="steps", done=step)
    while step < steps:
        step += 1
        state = hashlib.sha256(f"{state} {step}".encode()).hexdigest()
        time.sleep(float(orders.get("pause", "0.02")))
        context.log_metrics(step, loss=1.0 / step)
        progress.advance_to(step)
        if step % CHECKPOINT_EVERY == 0 or context.stop:
            _save(context, step, state, document.digest)
        if context.stop and step < steps:
            sink.emit(RunStopped(message=f"stopped after step {step}"))
            return 75
    if not orders.get("no_report"):
        _report(document.digest, spec.kind, run_dir, state)
    if orders.get("die_reported"):
        os.kill(os.getpid(), signal.SIGKILL)
    sink.emit(RunSucceeded())
    return 0


def _restore(checkpoint: Path | None) -> tuple[int, str]:
    if checkpoint is None:
        return 0, ""
    saved = json.loads((checkpoint / "state.json").read_text())
    return saved["step"], saved["state"]


def _save(context: RunContext, step: int, state: str, spec_digest: str) -> None:
    target = context.run_dir / "checkpoints" / f"step-{step}"
    partial = target.with_name(f".partial-{step}")
    partial.mkdir(parents=True, exist_ok=True)
    file = partial / "state.json"
    file.write_text(json.dumps({"step": step, "state": state}))
    entry = ManifestFile(name=file.name, num_bytes=file.stat().st_size, sha256=file_sha256(file))
    manifest = Manifest(step=step, spec_digest=spec_digest, resumable=True, files=(entry,))
    (partial / MANIFEST_NAME).write_text(manifest.model_dump_json())
    partial.rename(target)
    context.checkpoint_saved(step, target, file_sha256(target / MANIFEST_NAME))


def _report(spec_digest: str, kind: str, run_dir: Path, state: str) -> None:
    (run_dir / "state.txt").write_text(state)
    outputs = {"state": Output(path="state.txt")}
    if kind == "continual_pretrain":
        (run_dir / "model").mkdir()
        (run_dir / "model" / "state.txt").write_text(state)
        outputs["model"] = Output(path="model", digest=state)
    report = Report(
        spec_digest=spec_digest,
        code_version="unknown",
        started_at="",
        seconds=0.0,
        environment=Environment(
            python="", packages={}, platform="", processor="", num_threads=1, device="cpu",
            dtype="float32",
        ),
        outputs=outputs,
        results=TRAINED if kind == "continual_pretrain" else EvaluateResults(),
        definitions={"state": state},
    )  # fmt: skip
    (run_dir / "report.json").write_text(report.model_dump_json())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as exc:
        if not is_disk_full(exc):
            raise
        # As the pipeline ends where the disk has no room even for the event that would say so.
        sys.exit(StorageError.exit_status)
