"""Which way of confining children is in force, and how a command is started in it."""

import contextlib
import functools
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from pipeline.errors import IsolationError
from studio.runs.states import Isolation
from workers.bootstrap import ROOT
from workers.isolation import bubblewrap
from workers.isolation.confine import Plan
from workers.isolation.namespaces import SHARED_MEMORY
from workers.isolation.policy import Policy, make_policy

logger = logging.getLogger(__name__)

CONFINE = (sys.executable, "-S", "-E", "-m", "workers.isolation.confine")
PROBE_SECONDS = 60
PROBE_SHARED_MEMORY_BYTES = 1 << 20
# What Landlock lets a process know of the machine and of itself.
LANDLOCK_PROC = (
    "cpuinfo", "devices", "driver", "filesystems", "loadavg", "meminfo", "self", "stat", "sys",
    "uptime", "version",
)  # fmt: skip
PROBE = """
import sys
try:
    open(sys.argv[1]).close()
except OSError:
    open(sys.argv[2], "w").close()
else:
    sys.exit("the secret key can be read")
"""


# By the setting: what is tried, best first.
_TRIED = {
    "auto": (Isolation.BUBBLEWRAP, Isolation.LANDLOCK, Isolation.LANDLOCK_NO_NETWORK),
    "bubblewrap": (Isolation.BUBBLEWRAP,),
    "landlock": (Isolation.LANDLOCK, Isolation.LANDLOCK_NO_NETWORK),
    "off": (),
}


@dataclass(frozen=True, kw_only=True)
class Confined:
    """How to start a command in its confinement."""

    command: list[str]
    pass_fds: tuple[int, ...]
    environment: dict[str, str]
    """Changes to the command's environment."""


@functools.cache
def isolation_in_force() -> Isolation:
    """The best way that works here, found by starting a process in it, once for each worker.

    Raises:
        IsolationError: `worker.isolation_unavailable`, none works and the settings do not allow to
            go on without.
    """
    failures = []
    for isolation in _TRIED[settings.STUDIO_ISOLATION]:
        reason = failure_of(isolation)
        if reason is None:
            logger.info("children are confined: %s", isolation)
            return isolation
        failures.append(f"{isolation}: {reason}")
        logger.warning("children cannot be confined by %s: %s", isolation, reason)
    if settings.STUDIO_ISOLATION == "off":
        logger.warning("children are not confined: STUDIO_ISOLATION=off")
    elif settings.STUDIO_ISOLATION != "auto" or not settings.STUDIO_IS_EMBEDDED:
        raise IsolationError(
            "worker.isolation_unavailable",
            "children cannot be confined here ("
            + "; ".join(failures)
            + "). Install bubblewrap, or say STUDIO_ISOLATION=off to run foreign models with the "
            "rights of this user",
        )
    return Isolation.OFF


def failure_of(isolation: Isolation) -> str | None:
    """Why a process cannot be confined in this way here; None when it was and could not look out.

    A small program is started as a child would be. It must not be able to read the secret key.
    """
    key = Path(settings.STUDIO_DATA_DIR) / "secret_key"
    with tempfile.TemporaryDirectory(prefix="studio-isolation-") as directory:
        proof = Path(directory) / "attempt" / "proof"
        proof.parent.mkdir()
        policy = make_policy(
            proof.parent, readable=(), shared_memory_bytes=PROBE_SHARED_MEMORY_BYTES
        )
        command = [sys.executable, "-I", "-c", PROBE, str(key), str(proof)]
        read_fd, write_fd = os.pipe()
        try:
            with confined(command, policy=policy, isolation=isolation, ready_fd=write_fd) as start:
                result = subprocess.run(  # noqa: S603 (our own program, no shell)
                    start.command, pass_fds=start.pass_fds, cwd=ROOT, capture_output=True,
                    env={"PATH": os.environ.get("PATH", os.defpath)} | start.environment,
                    timeout=PROBE_SECONDS, check=False, stdin=subprocess.DEVNULL,
                )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as exc:
            return str(exc)
        finally:
            os.close(read_fd)
            os.close(write_fd)
        if result.returncode == 0 and proof.exists():
            return None
        said = result.stderr.decode(errors="replace").strip().splitlines()
        return said[-1] if said else f"the probe ended with status {result.returncode}"


@contextlib.contextmanager
def confined(
    command: Sequence[str], *, policy: Policy, isolation: Isolation, ready_fd: int
) -> Iterator[Confined]:
    """How to start `command` so that it can do only what the policy allows.

    The descriptors in `pass_fds` are closed at the end; start the command inside.

    Args:
        command: what is started.
        policy: what it may touch; its temporary directory exists afterwards.
        isolation: the way; not `OFF`.
        ready_fd: gets a byte when the command is about to start and signals reach it.

    Raises:
        OSError: the program of that way is not installed.
    """
    policy.temporary.mkdir(mode=0o700, exist_ok=True)
    is_landlock = isolation is not Isolation.BUBBLEWRAP
    plan = Plan(
        ready_fd=ready_fd,
        is_landlock=is_landlock,
        has_namespaces=isolation is Isolation.LANDLOCK,
        shared_memory_bytes=policy.shared_memory_bytes,
        read=[*map(str, policy.readable), *(f"/proc/{name}" for name in LANDLOCK_PROC)],
        write=[str(policy.writable), *([SHARED_MEMORY] if isolation is Isolation.LANDLOCK else [])],
        temporary=str(policy.temporary),
        devices=[*map(str, policy.devices), *map(str, policy.gpu_devices)],
    )
    with _in_memory(json.dumps(asdict(plan)).encode()) as plan_fd:
        inner = [*CONFINE, str(plan_fd), *command]
        if is_landlock:
            yield Confined(
                command=inner,
                pass_fds=(plan_fd, ready_fd),
                environment=_homes(str(policy.temporary)) | {"PYTHONPATH": _code_of(policy)},
            )
            return
        program = shutil.which(bubblewrap.PROGRAM)
        if program is None:
            raise FileNotFoundError(f"{bubblewrap.PROGRAM} is not installed")
        options = "\0".join([*bubblewrap.arguments(policy), ""]).encode()
        with _in_memory(options) as options_fd:
            yield Confined(
                command=[
                    *(*bubblewrap.PREFIX, program, "--args", str(options_fd), "--"),
                    *inner,
                ],
                pass_fds=(plan_fd, ready_fd, options_fd),
                environment=_homes(bubblewrap.TEMPORARY),
            )


def _homes(directory: str) -> dict[str, str]:
    return {"HOME": directory, "TMPDIR": directory}


def _code_of(policy: Policy) -> str:
    """A folder in which the pipeline can be found.

    Python lists the folders that it searches, and Landlock would let whoever may list the
    repository list everything in it, the data directory included.
    """
    folder = policy.temporary / "code"
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (folder / "pipeline").symlink_to(ROOT / "pipeline")
    return str(folder)


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    descriptor = os.memfd_create("studio-isolation")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
