"""Builds and finds the kernel; `make setup` builds it by `python -m pipeline.decoding.lean`.

The library lies in the virtual environment, where isolated runs can read it and cannot write. Its
name holds the digest of the source, the flags and the instruction set, so a stale one is never
found. Nothing is compiled at any other time: without the library decoding takes the transformers
path, which is slower and says so.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("kernel.cpp")
COMPILE = ("-O3", "-std=c++17", "-fPIC", "-fopenmp", "-fno-math-errno", "-ffp-contract=fast")
QUIET = ("-Wall", "-Wextra", "-Wno-psabi")
AVX2 = ("-mavx2", "-mfma")
INSTRUCTIONS = {
    "AVX2": AVX2,
    "AVX512": (*AVX2, "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq"),
}
"""Flags for what torch says of the processor; anything else gets the compiler's default."""
COMPILE_SECONDS = 300


def kernel_path() -> Path:
    """Where the library for this source, this processor and this environment lies."""
    level = torch.backends.cpu.get_cpu_capability()
    flags = (*COMPILE, *INSTRUCTIONS.get(level, ()))
    digest = hashlib.sha256(SOURCE.read_bytes() + repr(flags).encode()).hexdigest()
    return Path(sys.prefix, "lib", "soae_studio", f"lean-{level.lower()}-{digest[:16]}.so")


def build() -> Path:
    """The library is there; returns its path. Safe beside other builders.

    Raises:
        OSError: no compiler, or the directory cannot be written.
        subprocess.SubprocessError: the compiler does not translate the source.
    """
    path = kernel_path()
    if path.exists():
        return path
    name = os.environ.get("CXX", "g++")
    compiler = shutil.which(name)
    if compiler is None:
        raise FileNotFoundError(f"{name} is not found")
    level = torch.backends.cpu.get_cpu_capability()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)  # whatever the umask says: see `_is_ours`
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        part, whole = Path(directory, "kernel.o"), Path(directory, "kernel.so")
        flags = (*COMPILE, *QUIET, *INSTRUCTIONS.get(level, ()))
        _run(compiler, *flags, "-c", str(SOURCE), "-o", str(part))
        # Without -fopenmp here the library names no OpenMP of its own: it takes the one that torch
        # has loaded, and with it torch's pool of threads.
        _run(compiler, "-shared", str(part), "-o", str(whole))
        whole.chmod(0o644)
        whole.replace(path)
    return path


@functools.cache
def load() -> ctypes.CDLL | None:
    """The kernel; None where it was not built, or lies where others can write."""
    path = kernel_path()
    if not (path.is_file() and _is_ours(path) and _is_ours(path.parent)):
        return None
    try:
        kernel = ctypes.CDLL(str(path))
    except OSError:
        return None  # torch runs on another OpenMP than GNU's: functions are missing
    kernel.scratch_size.restype = ctypes.c_int64
    kernel.forward.restype = ctypes.c_int32
    return kernel


def _is_ours(path: Path) -> bool:
    """Only the owner of the environment, who may change torch itself, can have written it."""
    found, environment = path.stat(), Path(sys.prefix).stat()
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid == environment.st_uid and not others_write


def _run(*command: str) -> None:
    subprocess.run(  # noqa: S603 (the administrator's own compiler)
        command, check=True, capture_output=True, text=True, timeout=COMPILE_SECONDS
    )
