"""What the document expects of a machine, in one folder of this one: made, and taken away again."""

import contextlib
import ctypes
import fcntl
import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.operations.document import PLACE, ROOT, Ports, relocated

USER = "soae-studio"
DEBIAN_PYTHON = Path("/usr/bin/python3.11")
PR_SET_CHILD_SUBREAPER = 36


@contextlib.contextmanager
def prepared_machine(ports: Ports) -> Iterator[dict[str, str]]:
    """The environment of the shell in which the document is followed.

    Raises:
        SystemExit: this is no machine to do it on; the message says why.
    """
    if os.geteuid() != 0:
        sys.exit("the operations script makes a user and starts services: run it as root")
    lock = os.open("/var/tmp/soae-operations.lock", os.O_RDWR | os.O_CREAT, 0o600)  # noqa: S108
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("the operations script runs already")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    _end_leftovers()
    _remove_user()
    shutil.rmtree(PLACE, ignore_errors=True)
    # Services that were started by a command come to this process when the command ends.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for folder in ("bin", "state", "units", "curl"):
        (PLACE / folder).mkdir(parents=True)
    PLACE.chmod(0o755)
    postgres = start_postgres(ports)
    try:
        _prepare_nginx()
        _prepare_source(ports)
        _prepare_environment()
        yield _shell_environment(ports)
    finally:
        _end_services()
        postgres.send_signal(signal.SIGINT)
        postgres.wait(timeout=30)
        _remove_user()
        os.close(lock)


def command(*arguments: str | Path, **options: object) -> str:
    """The standard output of a command that must succeed."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        arguments, check=True, text=True, stdout=subprocess.PIPE, **options
    ).stdout


def _end_leftovers() -> None:
    """Nothing runs that an earlier run, killed in the middle, started."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{PLACE}/" in (process / "cmdline").read_text():
                os.kill(int(process.name), signal.SIGKILL)


def _remove_user() -> None:
    """The user of an earlier run that was killed is gone; one that is somebody else's stops us."""
    try:
        found = pwd.getpwnam(USER)
    except KeyError:
        return
    if found.pw_dir != str(PLACE / "data"):
        sys.exit(f"there is a user {USER} on this machine: a real installation is left alone")
    command("userdel", USER)
    with contextlib.suppress(KeyError):
        grp.getgrnam(USER)
        command("groupdel", USER)


def start_postgres(ports: Ports) -> subprocess.Popen[bytes]:
    """A server of its own, as Debian's package sets one up."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        sys.exit("PostgreSQL is not installed: apt-get install postgresql")
    directory, socket_dir = PLACE / "postgres", PLACE / "postgres-socket"
    for folder in (directory, socket_dir):
        folder.mkdir(mode=0o700)
        shutil.chown(folder, "postgres", "postgres")
    socket_dir.chmod(0o755)
    as_postgres = ("runuser", "-u", "postgres", "--")
    command(
        *as_postgres, programs[-1] / "initdb", "-D", directory, "--auth-local=peer",
        "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", cwd="/",
    )  # fmt: skip
    with (PLACE / "postgres.log").open("ab") as log:
        process = subprocess.Popen(
            [programs[-1] / "postgres", "-D", directory, "-p", str(ports.postgres),
             "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={socket_dir}"],
            user="postgres", group="postgres", extra_groups=[], cwd="/", stdout=log, stderr=log,
        )  # fmt: skip
    deadline = time.monotonic() + 30
    while not (socket_dir / f".s.PGSQL.{ports.postgres}").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit((PLACE / "postgres.log").read_text())
        time.sleep(0.1)
    return process


def _prepare_nginx() -> None:
    """Debian's configuration, with its files in our folder and without its example site."""
    place = PLACE / "nginx"
    shutil.copytree("/etc/nginx", place, symlinks=True)
    for site in (place / "sites-enabled").iterdir():
        site.unlink()
    main = place / "nginx.conf"
    text = main.read_text().replace("/etc/nginx", str(place))
    text = text.replace("/run/nginx.pid", str(PLACE / "nginx.pid"))
    main.write_text(text.replace("/var/log/nginx", str(PLACE)))
    _program("nginx", f'exec /usr/sbin/nginx -c {main} -g "daemon on;" "$@"')


def _prepare_source(ports: Ports) -> None:
    """A checkout of the working tree, with this machine's folders and ports in platform/deploy."""
    source = PLACE / "source"
    source.mkdir()
    names = command("git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z")
    for name in filter(None, names.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, source / name)
    for path in (source / "platform/deploy").iterdir():
        path.write_text(relocated(path.read_text(), ports))
    # Long ago: `make setup` finds its requirements older than the environment we put there.
    when = {"GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z", "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z"}
    git = ("git", "-C", source, "-c", "user.name=operations", "-c", "user.email=operations@invalid")
    command(*git, "init", "--quiet")
    command(*git, "add", "--all", "--force", ".")
    command(*git, "commit", "--quiet", "--message", "release", env=os.environ | when)


def _prepare_environment() -> None:
    """/opt has the packages of this environment, so that `make setup` downloads nothing."""
    if not DEBIAN_PYTHON.exists():
        sys.exit("Debian's Python is not installed: apt-get install python3.11-venv")
    environment = PLACE / "opt" / ".venv"
    environment.parent.mkdir()
    command(DEBIAN_PYTHON, "-m", "venv", "--without-pip", environment)
    packages = Path("lib/python3.11/site-packages")
    ours = Path(sys.prefix) / packages
    (environment / packages).rmdir()
    linked = subprocess.run(["cp", "-al", ours, environment / packages], check=False)
    if linked.returncode != 0:  # another file system
        command("cp", "-a", ours, environment / "lib/python3.11/")
    # What this Python needs and ours does not: Debian's 3.11.2 takes some back ports more.
    command(
        sys.executable, "-m", "pip", "--python", environment / "bin/python", "install", "--quiet",
        "--no-deps", "--require-hashes", "--requirement", ROOT / "requirements/platform.txt",
    )  # fmt: skip
    (environment / ".complete").touch()


def _shell_environment(ports: Ports) -> dict[str, str]:
    own = f"{sys.executable} {Path(__file__).with_name('systemctl.py')}"
    _program("systemctl", f'exec {own} "$@"')
    (PLACE / "curl" / ".curlrc").write_text(
        f'connect-to = "studio.example.org:443:127.0.0.1:{ports.https}"\n'
        f'cacert = "{PLACE}/etc/tls/certificate.pem"\n'
    )
    return {
        "PATH": f"{PLACE / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/root",
        "CURL_HOME": str(PLACE / "curl"),
        "PGHOST": str(PLACE / "postgres-socket"),
        "PGPORT": str(ports.postgres),
        "SOURCE": str(PLACE / "source"),
        "OPERATIONS_UNITS": str(PLACE / "units"),
        "OPERATIONS_STATE": str(PLACE / "state"),
        "DEBIAN_FRONTEND": "noninteractive",
    }


def _program(name: str, line: str) -> None:
    path = PLACE / "bin" / name
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def _end_services() -> None:
    """Every service that was started has ended."""
    for path in [*(PLACE / "state").glob("*.pid"), PLACE / "nginx.pid"]:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(path.read_text()), signal.SIGTERM)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        if not any(_lives(path) for path in (PLACE / "state").glob("*.pid")):
            break
        time.sleep(0.2)
    for path in (PLACE / "state").glob("*.pid"):
        with contextlib.suppress(OSError):
            os.killpg(int(path.read_text()), signal.SIGKILL)


def _lives(pid_file: Path) -> bool:
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid_file.read_text()}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    return False
