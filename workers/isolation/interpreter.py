"""What the command that starts the pipeline is made of: an interpreter, its libraries, a script."""

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import IsolationError

ASK = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, *sys.path]))"
ASK_SECONDS = 60


@functools.cache
def command_files(command: tuple[str, ...]) -> tuple[Path, ...]:
    """Files and directories that `command` needs in order to start.

    Those of its Python (of this one, where the command starts with another program), and what the
    command names itself.

    Raises:
        IsolationError: `worker.isolation_unavailable`, the interpreter does not answer.
    """
    program = Path(shutil.which(command[0]) or command[0])
    is_python = program.name.startswith("python")
    interpreter = program if is_python else Path(sys.executable)
    named = [Path(argument) for argument in command if Path(argument).is_absolute()]
    return tuple(
        path
        for path in (*_parts_of(interpreter), program, *_environment_of(program), *named)
        if path.exists()
    )


def library_folders(environment: dict[str, str]) -> list[Path]:
    """Folders of libraries that a child is told of."""
    folders = environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    return [Path(folder) for folder in folders if folder and Path(folder).is_dir()]


def _parts_of(interpreter: Path) -> Sequence[Path]:
    question = [str(interpreter), "-P", "-c", ASK]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        answer = subprocess.run(  # noqa: S603 (the administrator's own interpreter)
            question, env=environment, cwd="/", capture_output=True, check=True, timeout=ASK_SECONDS
        )
        parts = [Path(part) for part in json.loads(answer.stdout) if part]
    except (OSError, subprocess.SubprocessError, ValueError) as exc:
        raise IsolationError(
            "worker.isolation_unavailable",
            f"{interpreter} does not say where its libraries are ({exc}); "
            "check STUDIO_PIPELINE_COMMAND",
        ) from exc
    return [interpreter, interpreter.resolve(), *(part for part in parts if part.is_absolute())]


def _environment_of(program: Path) -> list[Path]:
    """The virtual environment that a program such as `torchrun` lies in."""
    folder = program.parent.parent
    return [folder] if (folder / "pyvenv.cfg").exists() else []
