"""`python -m pipeline run`, ended by a real signal at an exact moment, in a process of its own.

The signal is sent by the process to itself: nothing runs after SIGKILL, as nothing would after
`kill -9` from outside.
"""

import os
import signal
import sys
from pathlib import Path

from torch.optim.optimizer import register_optimizer_step_post_hook

import pipeline.recipes.continual_pretrain
import pipeline.recipes.curriculum_sft  # noqa: F401 (imported once, before the processes fork)
from pipeline.__main__ import main


def run_interrupted(signal_name: str, moment: str, count: int, spec: Path, run_dir: Path) -> None:
    """Run and exit with the run's status, unless the signal comes first.

    Args:
        moment: `optimizer_step` (just after the `count`-th of this process) or `fsync` (just before
            the `count`-th, so in the middle of writing a checkpoint).
    """
    remaining = count

    def passed() -> None:
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            os.kill(os.getpid(), signal.Signals[signal_name])

    flush = os.fsync

    def fsync(descriptor: int) -> None:
        passed()
        flush(descriptor)

    if moment == "optimizer_step":
        register_optimizer_step_post_hook(lambda *_: passed())
    else:
        os.fsync = fsync
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (until the process ends)
    sys.exit(main(["run", str(spec), "--run-dir", str(run_dir)]))
