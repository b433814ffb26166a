"""What one child may touch: its inputs, its run directory, and what its program is made of."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from pipeline.errors import IsolationError
from studio.runs.lifecycle import Claim
from studio.runs.paths import attempt_dir, run_dir
from workers.bootstrap import ROOT
from workers.isolation.interpreter import command_files

TEMPORARY_NAME = ".tmp"
TEACHER_CACHE_NAME = "teacher_cache"
CODE = ("pipeline", "examples", "workers/__init__.py", "workers/isolation")
# Programs, libraries, fonts, words of the language, the clock; nothing of this machine's secrets.
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/sys", "/etc/alternatives", "/etc/fonts",
    "/etc/group", "/etc/hosts", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
    "/etc/locale.alias", "/etc/localtime", "/etc/mime.types", "/etc/nsswitch.conf",
    "/etc/OpenCL", "/etc/passwd", "/etc/ssl/certs", "/etc/timezone", "/var/cache/fontconfig",
)  # fmt: skip
DEVICES = ("null", "zero", "full", "random", "urandom")
GPU_DEVICES = ("nvidia*", "nvidia-caps/*", "dri/*", "kfd")
# Folders of the data directory below which inputs lie; folders for imports and the examples too.
INPUTS = ("runs", "datasets", "models", "registry", "uploads", "benchmarks")
# Of the platform, in its data directory: never inside anything that a child may read.
PRIVATE = ("secret_key", "signing_key", "studio.sqlite3", "broker", "slots", "log", "demo")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a child may touch. Whatever is not named here does not exist for it."""

    readable: tuple[Path, ...]
    writable: Path
    """The attempt's directory."""
    temporary: Path
    """Its private temporary directory, which goes away with the attempt."""
    devices: tuple[Path, ...]
    gpu_devices: tuple[Path, ...]
    shared_memory_bytes: int


def child_policy(
    claim: Claim, *, resume_from: Path | None, shared_memory_bytes: int, libraries: Iterable[Path]
) -> Policy:
    """What the child of a claimed attempt may touch.

    Args:
        claim: its spec names the inputs.
        resume_from: the checkpoint to go on from.
        shared_memory_bytes: size of its `/dev/shm`.
        libraries: folders of libraries that it is told of.

    Raises:
        IsolationError: `worker.isolation_unavailable`, what the program needs holds the platform's
            secrets too.
    """
    inputs = [path for named in _named_paths(claim.spec) if (path := _input(named))]
    resumed = (
        (resume_from, resume_from.parents[1] / TEACHER_CACHE_NAME)
        if resume_from is not None
        else ()
    )
    return make_policy(
        attempt_dir(claim.run_id, claim.attempt),
        readable=[run_dir(claim.run_id) / "spec.json", *inputs, *resumed, *libraries],
        shared_memory_bytes=shared_memory_bytes,
    )


def make_policy(writable: Path, *, readable: Iterable[Path], shared_memory_bytes: int) -> Policy:
    """What a child that writes into `writable` and also reads `readable` may touch."""
    program = (
        *map(Path, SYSTEM),
        *(ROOT / name for name in CODE),
        *command_files(settings.STUDIO_PIPELINE_COMMAND),
    )
    named = (*program, *(path.absolute() for path in readable))
    real = (Path(path).resolve() for path in named)
    existing = sorted({path for path in (*named, *real) if path.exists()})
    _refuse_secrets(existing)
    return Policy(
        readable=tuple(existing),
        writable=writable.absolute(),
        temporary=writable.absolute() / TEMPORARY_NAME,
        devices=tuple(Path("/dev", name) for name in DEVICES),
        gpu_devices=tuple(
            device for pattern in GPU_DEVICES for device in sorted(Path("/dev").glob(pattern))
        ),
        shared_memory_bytes=shared_memory_bytes,
    )


def _input(named: str) -> Path | None:
    """An input of a spec, if it lies below a folder of inputs, however it is spelled.

    The platform has asked whether the project may use it; this holds whatever it answered.
    """
    path = ROOT / named
    real = path.resolve()
    roots = (
        *(Path(settings.STUDIO_DATA_DIR) / name for name in INPUTS),
        ROOT / "examples",
        *map(Path, settings.STUDIO_IMPORT_DIRS),
    )
    if not any(root.resolve() in real.parents for root in roots):
        return None
    return real if ".." in path.parts else path


def _named_paths(value: object) -> Iterator[str]:
    """Whatever a spec calls a path, at any depth."""
    if isinstance(value, Mapping):
        if isinstance(value.get("path"), str):
            yield value["path"]
        for part in value.values():
            yield from _named_paths(part)
    elif isinstance(value, list):
        for part in value:
            yield from _named_paths(part)


def _refuse_secrets(readable: Iterable[Path]) -> None:
    data_dir = Path(settings.STUDIO_DATA_DIR).resolve()
    private = [data_dir / name for name in PRIVATE]
    for path in readable:
        real = path.resolve()
        if any(secret.is_relative_to(real) for secret in private):
            raise IsolationError(
                "worker.isolation_unavailable",
                f"children need {path}, and the data directory {data_dir} lies in it: move "
                "STUDIO_DATA_DIR elsewhere",
            )
