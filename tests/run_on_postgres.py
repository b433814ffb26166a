"""Runs a command with the DATABASE_URL of a PostgreSQL made for it.

    python -m tests.run_on_postgres COMMAND [ARGUMENT ...]

With DATABASE_URL in the environment that server is used instead; its user must be able to create
databases. Ours is stopped when the command has ended, however that happened. Exit status: the
command's.
"""

import os
import signal
import subprocess
import sys
from types import FrameType

from tests.supervision.postgres_server import database_url, postgres_server


def main(command: list[str]) -> int:
    """The exit status of the command."""
    if os.environ.get("DATABASE_URL"):
        return subprocess.run(command, check=False).returncode
    signal.signal(signal.SIGTERM, _end)
    with postgres_server() as port:
        environment = os.environ | {"DATABASE_URL": database_url(port)}
        child = subprocess.Popen(command, env=environment)
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            child.wait()
            raise


def _end(number: int, _frame: FrameType | None) -> None:
    """SIGTERM leaves by the way on which the server is stopped; SIGINT does so anyway."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
