"""The pipeline as a child process of its supervisor."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from django.conf import settings

from studio.runs.lifecycle import Claim
from studio.runs.paths import STDERR_NAME, attempt_dir, run_dir
from workers.bootstrap import ROOT
from workers.devices import DeviceSlot

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


class Child:
    """One execution of `python -m pipeline run`; it dies with this process."""

    def __init__(
        self, claim: Claim, *, slot: DeviceSlot, lock: int, resume_from: Path | None
    ) -> None:
        directory = attempt_dir(claim.run_id, claim.attempt)
        directory.mkdir(parents=True, exist_ok=True)
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
            (COMPUTE_NICENESS, 0) if claim.queue == "compute" else (0, INTERACTIVE_MAX_DATA_BYTES)
        )
        guard = [sys.executable, "-S", "-E", str(EXEC_CHILD), str(os.getpid())]
        self._stop_requested_at: float | None = None
        self._reaping = threading.Lock()
        with (directory / STDERR_NAME).open("ab") as log:
            limits = (str(signal.SIGKILL.value), str(niceness), str(max_data_bytes))
            self._process = subprocess.Popen(  # noqa: S603 (our own program, no shell)
                [*guard, *limits, *command],
                cwd=ROOT,
                env=_environment(claim, slot),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )

    @property
    def pid(self) -> int:
        """Process id, which is also that of the child's process group."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the child lives."""
        with self._reaping:
            return self._process.poll()

    @property
    def is_stopping(self) -> bool:
        """`request_stop` was called."""
        return self._stop_requested_at is not None

    def request_stop(self, *, grace_seconds: float) -> None:
        """SIGTERM went to the process group at the first call; SIGKILL once the grace is over."""
        now = time.monotonic()
        if self._stop_requested_at is None:
            self._stop_requested_at = now
            self._signal_group(signal.SIGTERM)
        elif now - self._stop_requested_at > grace_seconds:
            self.kill()

    def kill(self) -> None:
        """The child has ended, with all that it started in its group."""
        self.kill_group()
        if self._process.returncode is None:
            # Waits without reaping: meanwhile the process id stays the child's.
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self.poll()

    def kill_group(self) -> None:
        """SIGKILL went to the process group, if the child was not reaped; from any thread."""
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        # A reaped child's id may be another process's. Under the lock it is not reaped meanwhile.
        with self._reaping:
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)


def _environment(claim: Claim, slot: DeviceSlot) -> dict[str, str]:
    num_threads = settings.STUDIO_COMPUTE_THREADS if claim.queue == "compute" else 1
    return (
        {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
        | dict.fromkeys(THREAD_VARIABLES, str(num_threads))
        | {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        | slot.environment()
    )
