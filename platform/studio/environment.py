"""The platform's environment variables, read here and nowhere else: see docs/settings.md."""

import contextlib
import hashlib
import os
import secrets
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

MAX_SOCKET_PATH_BYTES = 100
SIGNING_KEY_NAME = "signing_key"
"""In the data directory: what lossless certificates are signed with (`registry.signing`)."""
# A peer that says nothing is given up: libpq alone would wait for ever. All of these end long
# before a lease does. The address may overrule each: `?connect_timeout=10`.
POSTGRES_TIMEOUTS: dict[str, str | int] = {
    "connect_timeout": 5,
    # Milliseconds until data that nobody acknowledges counts as lost; without it, 15 minutes.
    "tcp_user_timeout": 15_000,
    # A connection that waits for an answer has nothing unacknowledged: only these notice.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    # Milliseconds, kept by the server: of one statement, of waiting for a lock, and of a
    # transaction whose client has gone quiet and holds its locks.
    "options": (
        "-c statement_timeout=30000 -c lock_timeout=10000"
        " -c idle_in_transaction_session_timeout=60000"
    ),
}
ISOLATIONS = ("auto", "bubblewrap", "landlock", "off")
GIB = 1 << 30
MEMORY_SHARE = 0.9
"""Of the machine's memory, what one training may take; the platform's own processes need some."""
CGROUP_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """What the process was told from outside."""

    data_dir: Path
    import_dirs: tuple[Path, ...]
    allowed_hosts: tuple[str, ...]
    is_https: bool
    trusted_proxies: tuple[str, ...]
    is_debug: bool
    database_url: str
    redis_url: str
    lease_seconds: float
    stop_grace_seconds: float
    num_compute_threads: int
    pipeline_command: tuple[str, ...]
    disk_reserve_gb: float
    retention_days: float
    isolation: str
    compute_memory_bytes: int


def read_environment(default_data_dir: Path) -> Environment:
    """The environment variables, checked.

    Raises:
        ImproperlyConfigured: a value is not usable; the message names the variable.
    """
    hosts = tuple(
        host.strip()
        for host in os.environ.get("STUDIO_ALLOWED_HOSTS", "").split(",")
        if host.strip()
    )
    if "*" in hosts:
        raise ImproperlyConfigured(
            "STUDIO_ALLOWED_HOSTS contains '*', which accepts forged Host headers: name each host"
        )
    is_debug = _flag("STUDIO_DEBUG")
    foreign_hosts = sorted(set(hosts) - set(LOOPBACK_HOSTS))
    if is_debug and foreign_hosts:
        raise ImproperlyConfigured(
            f"STUDIO_DEBUG=1 shows source and settings to visitors of {', '.join(foreign_hosts)}: "
            "unset one of STUDIO_DEBUG and STUDIO_ALLOWED_HOSTS"
        )
    # One spelling, whatever links and dots the variables have: stored paths begin with it.
    data_dir = Path(os.environ.get("STUDIO_DATA_DIR") or default_data_dir).resolve()
    return Environment(
        data_dir=data_dir,
        import_dirs=tuple(
            Path(folder).resolve()
            for folder in os.environ.get("STUDIO_IMPORT_DIRS", "").split(os.pathsep)
            if folder
        )
        or (data_dir / "imports",),
        allowed_hosts=hosts or LOOPBACK_HOSTS,
        is_https=_flag("STUDIO_HTTPS"),
        trusted_proxies=_trusted_proxies(),
        is_debug=is_debug,
        database_url=os.environ.get("DATABASE_URL", ""),
        redis_url=os.environ.get("REDIS_URL", ""),
        lease_seconds=_positive_number("STUDIO_LEASE_SECONDS", 90),
        stop_grace_seconds=_positive_number("STUDIO_STOP_GRACE_SECONDS", 60),
        num_compute_threads=int(
            _positive_number("STUDIO_COMPUTE_THREADS", len(os.sched_getaffinity(0)))
        ),
        pipeline_command=tuple(shlex.split(os.environ.get("STUDIO_PIPELINE_COMMAND", "")))
        or (sys.executable, "-m", "pipeline"),
        disk_reserve_gb=_positive_number("STUDIO_DISK_RESERVE_GB", 2),
        retention_days=_positive_number("STUDIO_RETENTION_DAYS", 30),
        isolation=_choice("STUDIO_ISOLATION", ISOLATIONS),
        compute_memory_bytes=int(
            _positive_number("STUDIO_COMPUTE_MEMORY_GIB", _memory_bytes() * MEMORY_SHARE / GIB)
            * GIB
        ),
    )


def database_settings(url: str, data_dir: Path) -> dict[str, Any]:
    """Django's settings for the PostgreSQL at `url`, or for SQLite in `data_dir` if it is empty.

    Raises:
        ImproperlyConfigured: `url` is not a PostgreSQL address.
    """
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": data_dir / "studio.sqlite3",
            "OPTIONS": {
                # A transaction that reads and then writes must not fail half-way because another
                # process wrote in between: take the write lock at BEGIN and wait for it.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # WAL lets readers go on while one process writes. With NORMAL a killed process
                # loses nothing; only a power cut can lose the newest commits.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured(
            f"DATABASE_URL has scheme {parts.scheme!r} and database {parts.path.strip('/')!r}; "
            "expected postgresql://user:password@host:port/name"
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": POSTGRES_TIMEOUTS | dict(parse_qsl(parts.query, keep_blank_values=True)),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def secret_key(data_dir: Path) -> str:
    """The key of this installation, made on the first call and kept in a file only we can read."""
    return private_text(data_dir / "secret_key", lambda: secrets.token_urlsafe(64))


def private_text(path: Path, make: Callable[[], str]) -> str:
    """What the file holds, which only we can read; made where it is not there yet."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Web, workers and the reaper may start together. The link appears complete or not at all,
        # and only one process can make it, so all of them read the same text.
        descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(make())
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            Path(draft).unlink()
    return path.read_text()


def refuse_open_files(data_dir: Path) -> None:
    """Nobody but us may enter the data directory or read the keys in it.

    Raises:
        ImproperlyConfigured: somebody may; the message says how to change it.
    """
    signing_key = data_dir / SIGNING_KEY_NAME
    for path, mode in ((data_dir, "700"), (data_dir / "secret_key", "600"), (signing_key, "600")):
        if path == signing_key and not path.exists():
            continue  # made when the first certificate is signed
        status = path.stat()
        if status.st_mode & 0o077:
            raise ImproperlyConfigured(
                f"{path} has mode {status.st_mode & 0o777:o}: other users of this machine could "
                f"read or change what the platform keeps there. Close it: chmod {mode} {path}"
            )
        if os.geteuid() not in (0, status.st_uid):
            raise ImproperlyConfigured(
                f"{path} belongs to user {status.st_uid}, and the platform runs as user "
                f"{os.geteuid()}: start it as that user, or chown it to this one"
            )


def private_dir(path: Path) -> Path:
    """`path`, a directory that exists and that only we can enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def broker_socket(data_dir: Path) -> Path:
    """Where the embedded Valkey listens: in the data directory unless that path is too long.

    The kernel allows 107 bytes for the address of a Unix socket; checkouts and test directories
    can be deeper than that.
    """
    path = data_dir / "broker" / "valkey.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"soae-studio-{os.getuid()}-{name}" / "valkey.sock"


def _trusted_proxies() -> tuple[str, ...]:
    """Networks (`10.0.0.0/24`, `::1`) and the word `unix`, as they were written."""
    names = os.environ.get("STUDIO_TRUSTED_PROXIES", "").split(",")
    proxies = tuple(name.strip() for name in names if name.strip())
    for proxy in proxies:
        if proxy == "unix":
            continue
        try:
            network = ip_network(proxy)
        except ValueError as exc:
            raise ImproperlyConfigured(
                f"STUDIO_TRUSTED_PROXIES: {exc}; expected addresses or networks such as "
                "127.0.0.1, 10.0.0.0/24 or ::1, or the word unix"
            ) from exc
        if network.prefixlen == 0:
            raise ImproperlyConfigured(
                f"STUDIO_TRUSTED_PROXIES={proxy} trusts everybody, who could then choose the "
                "address they are counted by: name the proxy"
            )
    return proxies


def _positive_number(name: str, default: float) -> float:
    value = os.environ.get(name, "") or str(default)
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ImproperlyConfigured(f"{name}={value!r}; expected a number above 0")
    return number


def _choice(name: str, choices: tuple[str, ...]) -> str:
    value = os.environ.get(name, "") or choices[0]
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r}; expected one of {', '.join(choices)}")
    return value


def _memory_bytes() -> int:
    """Memory of this machine, or of the container that this process runs in."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in CGROUP_MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # absent, or "max"
            limits.append(int(path.read_text()))
    return min(limits)


def _flag(name: str) -> bool:
    value = os.environ.get(name, "0") or "0"
    if value not in {"0", "1"}:
        raise ImproperlyConfigured(f"{name}={value!r}; expected 0 or 1")
    return value == "1"
