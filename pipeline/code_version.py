"""Which version of the code runs; the standard library only, so that supervisors can ask too."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def code_version() -> str:
    """Git commit of the code, `+dirty` with uncommitted changes, `unknown` outside a checkout.

    A supervisor says it in `STUDIO_CODE_VERSION` to a child that cannot see the checkout.
    """
    if told := os.environ.get("STUDIO_CODE_VERSION"):
        return told
    git = ["git", "-C", str(ROOT)]
    try:
        commit = subprocess.run(  # noqa: S603 (fixed arguments)
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        status = subprocess.run(  # noqa: S603 (fixed arguments)
            [*git, "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit + ("+dirty" if status.strip() else "")
