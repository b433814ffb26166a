"""One execution of a spec in its run directory: the outermost frame around a recipe."""

import contextlib
import importlib
import logging
import shutil
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pipeline import durable
from pipeline.code_version import code_version
from pipeline.contracts.documents import SpecDocument, read_spec
from pipeline.contracts.events import RunFailed, RunStarted, RunStopped, RunSucceeded
from pipeline.contracts.manifest import newest_verified_checkpoint
from pipeline.contracts.reports import Output, Report
from pipeline.contracts.specs import AnySpec
from pipeline.errors import (
    PipelineError,
    SpecError,
    StoppedAtCheckpoint,
    StorageError,
    is_disk_full,
)
from pipeline.execution import JsonlEventSink, RecipeResult, RunContext
from pipeline.modeling.inspection import inspect_model_directory
from pipeline.modeling.lean_imports import without_scikit_learn
from pipeline.modeling.loader_errors import is_panic
from pipeline.provenance import describe_environment, path_digest

UNEXPECTED = "run.crashed"
logger = logging.getLogger("pipeline")


def execute_run(
    document: SpecDocument[AnySpec],
    *,
    run_dir: Path,
    run_id: str | None,
    attempt: int,
    resume_from: Path | None,
    replace: bool,
) -> int:
    """The exit status of the run, whose report or terminal event is in its directory.

    Args:
        document: what is asked for.
        run_dir: where everything is written; a run that finished there is not repeated.
        run_id: identifies the run in its events; None takes the directory's name.
        attempt: number of this execution in its events.
        resume_from: checkpoint to continue from; None takes the newest one in `run_dir`.
        replace: empty a directory that holds another spec.

    Raises:
        PipelineError: the run failed; the terminal event has been written.
        SpecError: the directory holds another spec; nothing was written.
        StorageError: no space was left, perhaps not even for the terminal event: the exit status
            says it too.
    """
    try:
        return _execute_in(
            run_dir,
            document,
            run_id=run_id or run_dir.name,
            attempt=attempt,
            resume_from=resume_from,
            replace=replace,
        )
    except Exception as exc:
        if isinstance(exc, StorageError) or not is_disk_full(exc):
            raise
        raise _no_space(exc, run_dir) from exc


def _execute_in(
    run_dir: Path,
    document: SpecDocument[AnySpec],
    *,
    run_id: str,
    attempt: int,
    resume_from: Path | None,
    replace: bool,
) -> int:
    document = _prepare(run_dir, document, replace=replace)
    if (run_dir / "report.json").exists():
        logger.info("already finished: %s", run_dir / "report.json")
        return 0
    damaged: list[PipelineError] = []
    sink = JsonlEventSink(run_dir / "events.jsonl", run_id=run_id, attempt=attempt)
    context = RunContext(
        run_dir=run_dir,
        spec_digest=document.digest,
        events=sink,
        resume_from=resume_from or newest_verified_checkpoint(run_dir, damaged.append),
    )
    context.stop.install()
    try:
        for error in damaged:
            context.warn("train.checkpoint_skipped", str(error))
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
    """Writes the first and the terminal event."""
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
        with without_scikit_learn():
            recipe = importlib.import_module(f"pipeline.recipes.{spec.kind}")
        result = recipe.run(spec, context)
        _write_report(spec, context, result, started_at, time.monotonic() - clock)
    except StoppedAtCheckpoint as exc:
        context.events.emit(RunStopped(message=str(exc)))
        logger.info("%s", exc)
        return exc.exit_status
    except BaseException as exc:  # a crash, or a panic, becomes a terminal event
        if not isinstance(exc, Exception) and not is_panic(exc):
            raise
        error = _no_space(exc, context.run_dir) if is_disk_full(exc) else exc
        if not isinstance(error, PipelineError) or isinstance(error, StorageError):
            _print_traceback(exc)
        with _even_if_full():
            context.events.emit(_failure(error))
        if not isinstance(error, PipelineError):
            return 1
        if error is exc:
            raise
        raise error from exc
    # The report is whole, which is what counts.
    with _even_if_full():
        context.events.emit(RunSucceeded())
    return 0


def _failure(error: BaseException) -> RunFailed:
    if isinstance(error, PipelineError):
        return RunFailed(code=error.code, message=str(error), retryable=error.retryable)
    message = f"{type(error).__name__}: {error}; the traceback is in the run's stderr log"
    return RunFailed(code=UNEXPECTED, message=message, retryable=False)


def _no_space(error: BaseException, run_dir: Path) -> StorageError:
    return StorageError(
        "storage.full",
        f"no space is left on the disk of {run_dir} ({error}); free some, or give the run a "
        "directory on a larger disk. It goes on from its newest checkpoint",
    )


@contextlib.contextmanager
def _even_if_full() -> Iterator[None]:
    """What is done inside is left out where the disk has no space for it."""
    try:
        yield
    except OSError as exc:
        if not is_disk_full(exc):
            raise


def _print_traceback(error: BaseException) -> None:
    with _even_if_full():  # stderr is a file too
        traceback.print_exception(error)


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
