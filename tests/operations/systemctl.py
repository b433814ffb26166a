"""Stands in for systemctl where systemd is not process 1: starts what units say, as they say it.

Of a unit it takes ExecStart, User, Group, UMask, WorkingDirectory, Environment, EnvironmentFile,
LimitNOFILE, NoNewPrivileges, CapabilityBoundingSet, ProtectSystem with ReadWritePaths, PrivateTmp,
KillMode and TimeoutStopSec; of a target, Wants. Units that are not in the folder are Debian's and
left alone, but nginx, whose own program is asked.
"""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

UNITS = Path(os.environ["OPERATIONS_UNITS"])
STATE = Path(os.environ["OPERATIONS_STATE"])
Unit = dict[str, list[str]]


def main(arguments: list[str]) -> int:
    """The exit status of one command line."""
    verb, *names = [argument for argument in arguments if not argument.startswith("--")]
    if verb == "daemon-reload":
        return 0
    status = 0
    for name in names:
        if name in ("nginx", "nginx.service"):
            status |= _nginx(verb)
            continue
        units = list(_expanded(name))
        if not units:
            print(f"(stand-in) {verb} {name}: not ours, left alone")
        if verb in ("stop", "restart"):
            for each in reversed(units):
                _stop(each)
        if verb in ("enable", "start", "restart"):
            for each in units:
                _start(each)
        if verb == "is-active":
            status |= not all(_running(each) for each in units)
    return status


def _expanded(name: str) -> Iterator[str]:
    """The services that a unit stands for."""
    if not name.endswith((".service", ".target")):
        name += ".service"
    unit = _read(name)
    if unit is None:
        return
    if name.endswith(".service"):
        yield name
    for wanted in " ".join(unit.get("Wants", [])).split():
        if wanted.endswith(".service"):
            yield from _expanded(wanted)


def _read(name: str) -> Unit | None:
    """Values by key, with %i filled in; None for a unit that is not in the folder."""
    instance = re.fullmatch(r"(.+@)(.+)(\.service)", name)
    path = UNITS / (f"{instance[1]}{instance[3]}" if instance else name)
    if not path.is_file():
        return None
    unit: Unit = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        key, found, value = line.partition("=")
        if found and not line.startswith("#"):
            unit.setdefault(key, []).append(value.replace("%i", instance[2] if instance else ""))
    return unit


def _last(unit: Unit, key: str, default: str = "") -> str:
    return unit.get(key, [default])[-1]


def _environment(unit: Unit) -> dict[str, str]:
    """What a service is told, and nothing of what this process knows."""
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
    for name in unit.get("EnvironmentFile", []):
        for line in Path(name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.partition("=")
                environment[key] = value
    for assignment in unit.get("Environment", []):
        key, _, value = assignment.partition("=")
        environment[key] = value
    return environment


def _command(unit: Unit) -> list[str]:
    """The service's command behind what the unit takes from it."""
    user, group = _last(unit, "User", "root"), _last(unit, "Group", "root")
    guard = ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups"]
    if _last(unit, "NoNewPrivileges") == "yes":
        guard.append("--no-new-privs")
    if unit.get("CapabilityBoundingSet") == [""]:
        guard += ["--bounding-set=-all", "--inh-caps=-all"]
    if files := _last(unit, "LimitNOFILE"):
        guard = ["prlimit", f"--nofile={files}", *guard]
    command = [*guard, *shlex.split(_last(unit, "ExecStart"))]
    if _last(unit, "ProtectSystem") != "strict":
        return command
    writable = " ".join(unit.get("ReadWritePaths", [])).split()
    mounts = [f"mount --bind {path} {path}" for path in writable]
    if _last(unit, "PrivateTmp") == "yes":
        mounts.append("mount -t tmpfs -o mode=1777 tmpfs /tmp")
    script = " && ".join([*mounts, "mount -o remount,bind,ro /", 'exec "$@"'])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *command]


def _start(name: str) -> None:
    if _running(name):
        return
    unit = _read(name)
    assert unit is not None
    with (STATE / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            _command(unit), cwd=_last(unit, "WorkingDirectory", "/"), env=_environment(unit),
            umask=int(_last(unit, "UMask", "0022"), 8), stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    (STATE / f"{name}.pid").write_text(str(process.pid))


def _stop(name: str) -> None:
    """As KillMode=mixed does: a request to the main process, then the end of the whole group."""
    process_id = _running(name)
    if not process_id:
        return
    unit = _read(name) or {}
    os.kill(process_id, signal.SIGTERM)
    deadline = time.monotonic() + float(_last(unit, "TimeoutStopSec", "90"))
    while _running(name) and time.monotonic() < deadline:
        time.sleep(0.1)
    if _running(name):
        print(f"(stand-in) {name} did not end in time", file=sys.stderr)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process_id, signal.SIGKILL)
    (STATE / f"{name}.pid").unlink()


def _running(name: str) -> int:
    """The process id of a service that lives; 0 of one that does not."""
    path = STATE / f"{name}.pid"
    if not path.exists():
        return 0
    process_id = int(path.read_text())
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return 0
    return 0 if state == "Z" else process_id


def _nginx(verb: str) -> int:
    """nginx keeps its own process id."""
    is_running = subprocess.run(["nginx", "-s", "reload"], check=False, capture_output=True)
    if verb == "stop":
        return subprocess.run(["nginx", "-s", "quit"], check=False).returncode
    return 0 if is_running.returncode == 0 else subprocess.run(["nginx"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
