"""The kernel is built beside other builders, and where it cannot be built that is said."""

import ctypes
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.decoding.lean import build
from pipeline.decoding.lean.__main__ import main


@pytest.fixture(autouse=True)
def prefix(monkeypatch, tmp_path):
    """An environment of the test's own."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    build.load.cache_clear()
    yield tmp_path
    build.load.cache_clear()


@pytest.mark.slow
def test_two_builders_at_once_leave_one_library(prefix):
    with ThreadPoolExecutor(2) as pool:
        paths = {future.result() for future in [pool.submit(build.build) for _ in range(2)]}
    (path,) = paths
    assert path.is_relative_to(prefix)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert isinstance(build.load(), ctypes.CDLL)


def test_without_a_compiler_decoding_goes_on(monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    main()
    message = capsys.readouterr().err
    assert "not built: no-such-compiler is not found" in message
    assert "make setup" in message
    assert build.load() is None


def test_what_the_compiler_says_is_shown(monkeypatch, capsys, prefix):
    compiler = prefix / "compiler"
    compiler.write_text("#!/bin/sh\necho kernel.cpp:1: cannot understand >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    main()
    assert "not built: kernel.cpp:1: cannot understand" in capsys.readouterr().err
    assert list((prefix / "lib" / "soae_studio").iterdir()) == []


def test_another_source_or_processor_has_another_library(monkeypatch, tmp_path):
    names = {build.kernel_path().name}
    source = tmp_path / "kernel.cpp"
    source.write_bytes(build.SOURCE.read_bytes() + b"\n")
    monkeypatch.setattr(build, "SOURCE", source)
    names.add(build.kernel_path().name)
    for level in ("AVX2", "AVX512", "DEFAULT"):
        monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda level=level: level)
        names.add(build.kernel_path().name)
    assert len(names) == 4  # of the second source the own level and the two others
