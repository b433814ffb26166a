"""Stands where `python -m pipeline` stands and tries to do what a child must not.

The spec names what to try. `found.json` in the run directory says what came of each: "done", or the
error. A second list is what a child needs and must be able to do.

It may get out, so it harms only what the test has made: other things it opens, and closes again.
"""

# The calls to the system are what is tried.
# ruff: noqa: PTH104, PTH108, PTH115, PTH208, PTH211

import contextlib
import ctypes
import json
import multiprocessing
import multiprocessing.shared_memory
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH = 16


def called(result: int) -> str:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return "done"


def connect(family: int, kind: int, address: object) -> str:
    with socket.socket(family, kind) as client:
        client.settimeout(1)
        if kind == socket.SOCK_DGRAM:
            client.sendto(b"out", address)
        else:
            client.connect(address)
            client.sendall(b"out")
    return "done"


def send_from_a_pair(path: str) -> str:
    with contextlib.ExitStack() as stack:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in ends:
            stack.enter_context(end)
        ends[0].sendto(b"out", path)
    return "done"


def read(path: str) -> str:
    return f"read {Path(path).read_text()}"


def write(path: str) -> str:
    with Path(path).open("a") as file:
        file.write("harm")
    return "done"


def mount(folder: Path) -> str:
    folder.mkdir()
    called(libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, None))
    return called(libc.umount(os.fsencode(folder)))


def forbidden(orders: dict, run_dir: Path) -> dict[str, Callable[[], object]]:
    host, port = orders["host"], orders["port"]
    victim, parent = orders["victim"], orders["parent"]
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    tries: dict[str, Callable[[], object]] = {}
    for path in orders["secrets"]:
        tries[f"read {path}"] = lambda path=path: read(path)
        tries[f"write {path}"] = lambda path=path: write(path)
        tries[f"truncate {path}"] = lambda path=path: os.truncate(path, 0)
        tries[f"remove {path}"] = lambda path=path: os.unlink(path)
        tries[f"move {path}"] = lambda path=path: os.rename(path, run_dir / "moved")
        tries[f"link {path}"] = lambda path=path: os.link(path, run_dir / "linked")
    for path in orders["others"]:
        tries[f"read {path}"] = lambda path=path: read(path)
        tries[f"open {path}"] = lambda path=path: os.close(os.open(path, os.O_RDWR))
    for path in orders["inputs"]:
        tries[f"change input {path}"] = lambda path=path: write(path)
        tries[f"remove input {path}"] = lambda path=path: os.unlink(path)
    for folder in orders["folders"]:
        tries[f"make a file in {folder}"] = lambda path=folder: write(f"{path}/canary-was-here")
    for name in ("environ", "maps", "mem", "cmdline", "fd", "cwd/manage.py"):
        path = f"/proc/{parent}/{name}"
        tries[f"the parent's {name}"] = lambda path=path: os.close(os.open(path, os.O_RDONLY))
    for number in (0, signal.SIGTERM, signal.SIGKILL):
        tries[f"signal {number}"] = lambda number=number: os.kill(victim, number)
    tries |= {
        "ptrace": lambda: called(libc.ptrace(PTRACE_ATTACH, victim, 0, 0)),
        "limits": lambda: resource.prlimit(victim, resource.RLIMIT_CPU, (1, 1)),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, victim, 19),
        "affinity": lambda: os.sched_setaffinity(victim, {0}),
        "tcp, this machine": lambda: connect(socket.AF_INET, tcp, (host, port)),
        "tcp, its loopback": lambda: connect(socket.AF_INET, tcp, ("127.0.0.1", port)),
        "tcp, its loopback (6)": lambda: connect(socket.AF_INET6, tcp, ("::1", port)),
        "udp, this machine": lambda: connect(socket.AF_INET, udp, (host, port)),
        "unix": lambda: connect(socket.AF_UNIX, tcp, orders["unix"]),
        "unix, datagram": lambda: connect(socket.AF_UNIX, udp, orders["unix_datagram"]),
        "unix, pair": lambda: send_from_a_pair(orders["unix_datagram"]),
        "unix, abstract": lambda: connect(socket.AF_UNIX, tcp, "\0" + orders["abstract"]),
        "other machines' sockets": lambda: socket.socket(socket.AF_VSOCK, tcp).close(),
        "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "ring": lambda: called(libc.syscall(425, 4, ctypes.create_string_buffer(120))),
        "keys": lambda: called(libc.syscall(250, 0, -4, 0)),
        "shared memory of others": lambda: read(orders["shared_memory"]),
        "segment of others": lambda: called(libc.shmget(orders["segment"], 0, 0)),
        "symbolic link": lambda: os.symlink("/etc/passwd", run_dir / "report.json"),
        "pipe": lambda: os.mkfifo(run_dir / "events.fifo"),
        "device": lambda: os.mknod(run_dir / "disk", 0o60600, os.makedev(8, 0)),
        "mount": lambda: mount(run_dir / "mounted"),
    }  # fmt: skip
    return tries


def loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address, timeout=5) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"in")
                assert accepted.recv(2) == b"in"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        connect(socket.AF_INET, socket.SOCK_DGRAM, receiver.getsockname())
        assert receiver.recv(3) == b"out"


def shared_memory() -> None:
    memory = multiprocessing.shared_memory.SharedMemory(create=True, size=1 << 20)
    memory.buf[0] = 1
    memory.close()
    memory.unlink()
    with multiprocessing.Lock():
        pass


def needed(orders: dict, run_dir: Path) -> dict[str, Callable[[], object]]:
    def nested_write() -> None:
        (run_dir / ".partial").mkdir()
        (run_dir / ".partial" / "a").write_text("a")
        (run_dir / "whole").mkdir()
        (run_dir / ".partial" / "a").rename(run_dir / "whole" / "a")
        (run_dir / ".partial").rmdir()
        os.link(run_dir / "whole" / "a", run_dir / "whole" / "b")
        (run_dir / "whole" / "b").chmod(0o600)

    def temporary() -> None:
        with tempfile.NamedTemporaryFile(dir=None) as file:
            file.write(b"x" * 1000)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "link").symlink_to(orders["inputs"][0])
            assert Path(folder, "link").read_text()
        assert Path.home().is_dir()

    def thread() -> None:
        worker = threading.Thread(target=lambda: os.getpid())
        worker.start()
        worker.join()

    return {
        **{f"input {path}": lambda path=path: read(path) for path in orders["inputs"]},
        "checkpoint": lambda: read(f"{orders['checkpoint']}/state.json"),
        "nested write": nested_write,
        "temporary": temporary,
        "thread": thread,
        "pipeline": lambda: __import__("pipeline.contracts.specs"),
        "program": lambda: subprocess.run(["true"], check=True),
        "own priority": lambda: os.nice(1),
        "devices": lambda: (Path("/dev/null").write_text("x"), os.urandom(8)),
        "machine": lambda: (Path("/proc/cpuinfo").read_text(), Path("/proc/meminfo").read_text()),
        "itself": lambda: (Path("/proc/self/status").read_text(), os.listdir("/proc/self/fd")),
        "loopback": loopback,
        "shared memory": shared_memory,
    }


def names_in(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except PermissionError:
        return []


def open_files() -> list[str]:
    """What this process was started with, standard streams aside."""
    found = []
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return found


def opened(paths: list[str]) -> list[str]:
    """Which of them can be opened for writing; nothing is written."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY))
            found.append(path)
    return found


def outcomes(tries: dict[str, Callable[[], object]]) -> dict[str, str]:
    found = {}
    for name, attempt in tries.items():
        try:
            result = attempt()
        except OSError as exc:
            found[name] = f"{type(exc).__name__}: {exc}"
        except Exception as exc:  # noqa: BLE001 (the test says what was to be expected)
            found[name] = f"unexpected {type(exc).__name__}: {exc}"
        else:
            found[name] = result if isinstance(result, str) else "done"
    return found


def main() -> int:
    spec = json.loads(Path(sys.argv[2]).read_text())
    run_dir = Path(sys.argv[sys.argv.index("--run-dir") + 1])
    orders = spec["orders"]
    if "status" in orders:
        return orders["status"]
    if "signal" in orders:
        os.kill(os.getpid(), orders["signal"])
    if "wait" in orders:
        asked = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: asked.set())
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        (run_dir / "waiting").touch()
        while not asked.is_set():
            time.sleep(0.01)
        return 75
    files = open_files()
    found = {
        "forbidden": outcomes(forbidden(orders, run_dir)),
        "needed": outcomes(needed(orders, run_dir)),
        "memory": resource.getrlimit(resource.RLIMIT_DATA),
        "files": files,
        "levers": opened(orders["levers"]),
        "runs": names_in(Path(orders["checkpoint"]).parents[3]),
        "listed": names_in(Path("/proc")),
    }
    (run_dir / "found.json").write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
