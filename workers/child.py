"""The pipeline as a child process of its supervisor, confined to its work."""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from pipeline.code_version import code_version
from studio.runs.lifecycle import Claim
from studio.runs.paths import STDERR_NAME, attempt_dir, run_dir
from studio.runs.states import Isolation
from workers.bootstrap import ROOT
from workers.devices import DeviceSlot
from workers.isolation.interpreter import library_folders
from workers.isolation.policy import TEMPORARY_NAME, child_policy
from workers.isolation.ways import Confined, confined, isolation_in_force

EXEC_CHILD = Path(__file__).with_name("exec_child.py")
COMPUTE_NICENESS = 10
"""Training takes all cores; the web server and the broker go first."""
INTERACTIVE_MAX_DATA_BYTES = 4 << 30
"""Interactive runs read what people upload: a file made to fill the memory ends only its run."""

# All that a child is told of this machine. Keys, database and broker addresses are not its
# business: it reads foreign files.
INHERITED_VARIABLES = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES", "NCCL_SOCKET_IFNAME", "CUBLAS_WORKSPACE_CONFIG",
)  # fmt: skip
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SIGNAL_STATUS = 128
"""bubblewrap ends with this and the number of the signal that killed its command, as shells do."""


class Child:
    """One execution of `python -m pipeline run`; it dies with this process."""

    def __init__(
        self,
        claim: Claim,
        *,
        slot: DeviceSlot,
        lock: int,
        resume_from: Path | None,
        isolation: Isolation | None = None,
    ) -> None:
        """The child is about to work.

        Args:
            claim: what it executes.
            slot: where; the child inherits its lock.
            lock: the open file that is locked.
            resume_from: checkpoint of an earlier attempt.
            isolation: how it is confined; None takes what is in force in this worker.

        Raises:
            IsolationError: `worker.isolation_unavailable`.
        """
        self._isolation = isolation_in_force() if isolation is None else isolation
        directory = attempt_dir(claim.run_id, claim.attempt)
        directory.mkdir(parents=True, exist_ok=True)
        self._temporary = directory / TEMPORARY_NAME
        for run_id, attempt in claim.earlier_attempts:  # what a killed supervisor left
            shutil.rmtree(attempt_dir(run_id, attempt) / TEMPORARY_NAME, ignore_errors=True)
        spec_path = run_dir(claim.run_id) / "spec.json"
        spec_path.write_text(json.dumps(claim.spec, ensure_ascii=False), encoding="utf-8")
        command = [
            *settings.STUDIO_PIPELINE_COMMAND,
            *("run", str(spec_path), "--run-dir", str(directory)),
            *("--run-id", str(claim.run_id), "--attempt", str(claim.attempt)),
        ]
        if resume_from is not None:
            command += ["--resume-from", str(resume_from)]
        niceness, max_data_bytes = (
            (COMPUTE_NICENESS, settings.STUDIO_COMPUTE_MEMORY_BYTES)
            if claim.queue == "compute"
            else (0, INTERACTIVE_MAX_DATA_BYTES)
        )
        guard = [sys.executable, "-S", "-E", str(EXEC_CHILD), str(os.getpid())]
        limits = (str(signal.SIGKILL.value), str(niceness), str(max_data_bytes))
        environment = _environment(claim, slot)
        self._stop_requested_at: float | None = None
        self._reaping = threading.Lock()
        self._ready_fd, ready_fd = os.pipe()
        os.set_blocking(self._ready_fd, False)
        try:
            with (
                self._start_of(command, claim, resume_from, environment, ready_fd) as start,
                (directory / STDERR_NAME).open("ab") as log,
            ):
                self._process = subprocess.Popen(  # noqa: S603 (our own program, no shell)
                    [*guard, *limits, *start.command],
                    cwd=ROOT,
                    env=environment | start.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(lock, *start.pass_fds),
                )
        finally:
            os.close(ready_fd)

    @contextlib.contextmanager
    def _start_of(
        self,
        command: list[str],
        claim: Claim,
        resume_from: Path | None,
        environment: dict[str, str],
        ready_fd: int,
    ) -> Iterator[Confined]:
        if self._isolation is Isolation.OFF:
            os.write(ready_fd, b"1")
            yield Confined(command=command, pass_fds=(), environment={})
            return
        policy = child_policy(
            claim,
            resume_from=resume_from,
            libraries=library_folders(environment),
            shared_memory_bytes=(
                settings.STUDIO_COMPUTE_MEMORY_BYTES
                if claim.queue == "compute"
                else INTERACTIVE_MAX_DATA_BYTES
            )
            // 2,
        )
        with confined(
            command, policy=policy, isolation=self._isolation, ready_fd=ready_fd
        ) as start:
            yield start

    @property
    def pid(self) -> int:
        """Process id, which is also that of the child's process group."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the child lives."""
        with self._reaping:
            status = self._process.poll()
        if status is None or self._isolation is not Isolation.BUBBLEWRAP:
            return status
        number = status - SIGNAL_STATUS
        return -number if number in signal.valid_signals() else status

    @property
    def is_stopping(self) -> bool:
        """`request_stop` was called."""
        return self._stop_requested_at is not None

    def request_stop(self, *, grace_seconds: float) -> None:
        """SIGTERM went to the process group at the first call; SIGKILL once the grace is over.

        A child whose confinement is not complete has nothing to save, and the request might not
        reach it: it is killed.
        """
        now = time.monotonic()
        if self._stop_requested_at is None:
            self._stop_requested_at = now
            self._signal_group(signal.SIGTERM if self._is_ready() else signal.SIGKILL)
        elif now - self._stop_requested_at > grace_seconds:
            self.kill()

    def kill(self) -> None:
        """The child has ended, with all that it started in its group."""
        self.kill_group()
        if self._process.returncode is None:
            # Waits without reaping: meanwhile the process id stays the child's.
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self.poll()
        if self._ready_fd >= 0:
            os.close(self._ready_fd)
            self._ready_fd = -1
        shutil.rmtree(self._temporary, ignore_errors=True)
        _remove_links(self._temporary.parent)

    def kill_group(self) -> None:
        """SIGKILL went to the process group, if the child was not reaped; from any thread."""
        self._signal_group(signal.SIGKILL)

    def _is_ready(self) -> bool:
        try:
            return os.read(self._ready_fd, 1) != b""
        except BlockingIOError:
            return False

    def _signal_group(self, number: int) -> None:
        # A reaped child's id may be another process's. Under the lock it is not reaped meanwhile.
        with self._reaping:
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)


def _remove_links(directory: Path) -> None:
    """Nothing in `directory` points elsewhere: the platform reads there with its own rights."""
    for folder, folders, files in os.walk(directory):
        for path in (Path(folder, name) for name in (*folders, *files)):
            mode = path.lstat().st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                path.unlink()


def _environment(claim: Claim, slot: DeviceSlot) -> dict[str, str]:
    num_threads = settings.STUDIO_COMPUTE_THREADS if claim.queue == "compute" else 1
    return (
        {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
        | dict.fromkeys(THREAD_VARIABLES, str(num_threads))
        | {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            # A confined child does not see the repository's history.
            "STUDIO_CODE_VERSION": code_version(),
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        | slot.environment()
    )
