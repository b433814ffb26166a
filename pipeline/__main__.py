"""The pipeline as a program.

    python -m pipeline run SPEC.json --run-dir DIR     execute a run or a plan
    python -m pipeline validate SPEC.json              check it without running
    python -m pipeline schema                          JSON Schema of every spec

Exit status: 0 succeeded, 75 stopped at a checkpoint on request (run it again to go on), 2 a wrong
spec, others failed; `docs/errors.md` lists them. The error's code is in the last event and on
stderr.
"""

import argparse
import importlib
import json
import logging
import os
import shutil
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from pipeline import durable
from pipeline.contracts.documents import SpecDocument, read_spec
from pipeline.contracts.events import RunFailed, RunStarted, RunStopped, RunSucceeded
from pipeline.contracts.manifest import newest_verified_checkpoint
from pipeline.contracts.plans import execution_order
from pipeline.contracts.reports import Output, Report
from pipeline.contracts.specs import AnySpec, PlanSpec, spec_schema
from pipeline.errors import PipelineError, SpecError, StoppedAtCheckpoint
from pipeline.execution import JsonlEventSink, RecipeResult, RunContext
from pipeline.launch import require_one_process
from pipeline.modeling.inspection import inspect_model_directory
from pipeline.provenance import code_version, describe_environment, path_digest

UNEXPECTED = "run.crashed"
logger = logging.getLogger("pipeline")


def main(argv: list[str] | None = None) -> int:
    """The exit status of one command line."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        return int(arguments.command(arguments))
    except PipelineError as exc:
        print(f"error[{exc.code}]: {exc}", file=sys.stderr)
        return exc.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="execute a run or a plan")
    run.add_argument("spec", type=Path)
    run.add_argument("--run-dir", type=Path, required=True)
    run.add_argument("--run-id", help="identifies the run in its events (default: directory name)")
    run.add_argument("--attempt", type=int, default=1)
    run.add_argument("--resume-from", type=Path, help="checkpoint directory to continue from")
    run.add_argument(
        "--replace", action="store_true", help="empty a run directory that holds another spec"
    )
    run.set_defaults(command=_run_command)
    validate = commands.add_parser("validate", help="check a spec without running it")
    validate.add_argument("spec", type=Path)
    validate.set_defaults(command=_validate_command)
    schema = commands.add_parser("schema", help="JSON Schema of every spec")
    schema.set_defaults(command=_schema_command)
    return parser


def _read_spec(path: Path) -> SpecDocument[AnySpec]:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise SpecError("spec.invalid", f"cannot read {path}: {exc.strerror}") from exc
    document = read_spec(content)
    if isinstance(document.spec, PlanSpec):
        execution_order(document.spec)
    return document


def _validate_command(arguments: argparse.Namespace) -> int:
    document = _read_spec(arguments.spec)
    print(json.dumps({"kind": document.spec.kind, "digest": document.digest}))
    return 0


def _schema_command(_arguments: argparse.Namespace) -> int:
    print(json.dumps(spec_schema(), indent=2, ensure_ascii=False))
    return 0


def _run_command(arguments: argparse.Namespace) -> int:
    require_one_process(os.environ)
    run_dir = arguments.run_dir.resolve()
    document = _prepare(run_dir, _read_spec(arguments.spec), replace=arguments.replace)
    if (run_dir / "report.json").exists():
        logger.info("already finished: %s", run_dir / "report.json")
        return 0
    resume_from = arguments.resume_from or newest_verified_checkpoint(run_dir)
    sink = JsonlEventSink(
        run_dir / "events.jsonl",
        run_id=arguments.run_id or run_dir.name,
        attempt=arguments.attempt,
    )
    context = RunContext(
        run_dir=run_dir, spec_digest=document.digest, events=sink, resume_from=resume_from
    )
    context.stop.install()
    try:
        return _execute(document.spec, context)
    finally:
        sink.close()


def _prepare(
    run_dir: Path, document: SpecDocument[AnySpec], *, replace: bool
) -> SpecDocument[AnySpec]:
    """`run_dir` exists and holds the document that is returned, which asks for the same.

    A directory keeps what its run was started with: checkpoints and reports name its digest.
    """
    written = run_dir / "spec.json"
    if written.exists():
        held = read_spec(written.read_bytes())
        if held.spec == document.spec:
            return held
        if not replace:
            raise SpecError(
                "spec.invalid",
                f"{run_dir} holds the run of another spec; choose another --run-dir, or pass "
                "--replace to empty it",
            )
        for name in ("checkpoints", "report.json", "events.jsonl"):
            path = run_dir / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    run_dir.mkdir(parents=True, exist_ok=True)
    durable.write_bytes(written, document.canonical + b"\n")
    return document


def _execute(spec: AnySpec, context: RunContext) -> int:
    """The outermost frame of a run: writes the first and the terminal event."""
    started_at, clock = datetime.now(UTC), time.monotonic()
    context.events.emit(
        RunStarted(
            spec_kind=spec.kind,
            spec_digest=context.spec_digest,
            resumed_from=str(context.resume_from) if context.resume_from else None,
        )
    )
    try:
        # Imported only when it runs: short kinds must not pay for torch.
        recipe = importlib.import_module(f"pipeline.recipes.{spec.kind}")
        result = recipe.run(spec, context)
        _write_report(spec, context, result, started_at, time.monotonic() - clock)
    except StoppedAtCheckpoint as exc:
        context.events.emit(RunStopped(message=str(exc)))
        logger.info("%s", exc)
        return exc.exit_status
    except PipelineError as exc:
        context.events.emit(RunFailed(code=exc.code, message=str(exc), retryable=exc.retryable))
        print(f"error[{exc.code}]: {exc}", file=sys.stderr)
        return exc.exit_status
    except Exception as exc:  # noqa: BLE001 (outermost frame: a crash becomes a terminal event)
        traceback.print_exc()
        message = f"{type(exc).__name__}: {exc}; the traceback is in the run's stderr log"
        context.events.emit(RunFailed(code=UNEXPECTED, message=message, retryable=False))
        return 1
    context.events.emit(RunSucceeded())
    return 0


def _write_report(
    spec: AnySpec,
    context: RunContext,
    result: RecipeResult,
    started_at: datetime,
    seconds: float,
) -> None:
    report = Report(
        spec_digest=context.spec_digest,
        code_version=code_version(),
        started_at=started_at.isoformat(timespec="seconds"),
        seconds=seconds,
        environment=describe_environment(spec),
        inputs=result.inputs,
        outputs={
            name: Output(
                path=context.relative(path),
                digest=path_digest(path),
                facts=inspect_model_directory(path).describe() if name == "model" else None,
            )
            for name, path in result.outputs.items()
        },
        results=result.results,
        definitions=result.definitions,
    )
    for name, path in result.outputs.items():
        context.artifact_written(name, path)
    durable.write_bytes(
        context.run_dir / "report.json", report.model_dump_json(indent=2).encode() + b"\n"
    )


if __name__ == "__main__":
    sys.exit(main())
