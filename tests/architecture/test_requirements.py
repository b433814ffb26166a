"""Every package that anybody installs is locked by version and hash."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "requirements"
SOURCES = sorted(FOLDER.glob("*.in"))
LOCKED = sorted(FOLDER.glob("*.txt"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^\s;\\]+)")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def entries(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Name -> (version, whole entry) for each marker it is listed under."""
    found: dict[str, list[tuple[str, str]]] = {}
    for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", path.read_text())[1:]:
        match = PIN.match(entry)
        assert match, f"{path.name}: no exact version: {entry.splitlines()[0]}"
        found.setdefault(normal(match[1]), []).append((match[2], entry))
    return found


def test_every_source_has_its_lock_and_no_lock_is_alone() -> None:
    made = {path.stem for path in LOCKED}
    assert made == {path.stem for path in SOURCES} | {"torch-cuda", "torch-cpu"}


@pytest.mark.parametrize("path", LOCKED, ids=lambda path: path.name)
def test_every_entry_has_hashes_and_no_file_names_an_index(path: Path) -> None:
    for name, listed in entries(path).items():
        for _version, entry in listed:
            assert re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry), name
    for line in path.read_text().splitlines():
        assert not re.search(r"://|--(extra-)?index|--find-links|/opt/|@ ", line), line


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_what_a_source_pins_is_what_its_lock_holds(source: Path) -> None:
    """A pin that was changed without `make lock` is noticed."""
    locked = entries(source.with_suffix(".txt"))
    for line in source.read_text().splitlines():
        if match := PIN.match(line):
            versions = {version for version, _entry in locked[normal(match[1])]}
            assert versions == {match[2]}, f"{source.name}: run `make lock` ({line})"
        else:
            assert not line or line.startswith(("#", "-r ")), line


@pytest.mark.parametrize("name", ["platform", "pipeline", "gpu", "torch-cuda"])
def test_parts_hold_the_versions_of_the_whole(name: str) -> None:
    whole = entries(FOLDER / "dev.txt")
    for package, listed in entries(FOLDER / f"{name}.txt").items():
        if package in whole:
            assert {version for version, _entry in listed} <= {
                version for version, _entry in whole[package]
            }, package


def test_machines_without_a_gpu_fetch_no_cuda() -> None:
    for name in ("dev", "platform", "pipeline"):
        assert not [package for package in entries(FOLDER / f"{name}.txt")
                    if package.startswith(("nvidia-", "cuda-", "triton"))]  # fmt: skip


def test_the_known_build_of_torch_for_cpus_satisfies_what_is_locked() -> None:
    ((cpu, _entry),) = entries(FOLDER / "torch-cpu.txt")["torch"]
    for name in ("dev", "pipeline", "gpu"):
        ((version, _entry),) = entries(FOLDER / f"{name}.txt")["torch"]
        assert cpu == f"{version}+cpu"


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    """By pip itself, for the options that we call it with; nothing is fetched."""
    wheel = tmp_path / "exchanged-1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    listed = tmp_path / "listed.txt"
    listed.write_text(f"exchanged==1.0 --hash=sha256:{'0' * 64}\n")
    command = [sys.executable, "-m", "pip", "download", "--dest", str(tmp_path / "got")]
    command += ["--no-deps", "--require-hashes", "--no-index", "--find-links", str(tmp_path)]
    done = subprocess.run(
        [*command, "--requirement", str(listed)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
