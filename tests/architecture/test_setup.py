"""`make setup` on other Pythons: no CUDA build of torch unasked, and a refusal says what to do.

The interpreter and pip are played by scripts, so nothing is installed.
"""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "dirname", "grep", "cat", "mkdir", "ln")
LOCKED = "install --quiet --no-deps --require-hashes --requirement requirements/"
DEVELOPMENT, GPU, CUDA, CPU = (
    f"{LOCKED}{name}.txt" for name in ("dev", "gpu", "torch-cuda", "torch-cpu")
)
ASKED_TORCH, CHECKED = "show torch", "check"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def write_script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def install(
    tmp_path: Path, version: str, *, has_gpu: bool = False, is_cuda: bool = False, **chosen: str
):
    """The script's outcome, and what pip was asked for. `is_cuda`: of the torch that it got."""
    bin_dir, log = tmp_path / "bin", tmp_path / "pip.log"
    bin_dir.mkdir()
    for tool in TOOLS:
        (bin_dir / tool).symlink_to(shutil.which(tool))
    if has_gpu:
        write_script(bin_dir / "nvidia-smi")
    requires = "Requires: filelock, nvidia-cublas" if is_cuda else "Requires: filelock"
    pip = write_script(
        tmp_path / "pip",
        f'echo "$@" >> {log}',
        f'if [ "$1" = show ]; then echo "{requires}"; fi',
    )
    python = write_script(
        tmp_path / "python",
        f'if [ "$1" = -c ]; then echo {version}; exit; fi',
        'mkdir -p "$3/bin"',
        f'ln -s {pip} "$3/bin/pip"',
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in {"TORCH", "TORCH_INDEX"}
    }
    result = subprocess.run(
        [ROOT / "requirements/install.sh", python, tmp_path / "venv"],
        env=environment | chosen | {"PATH": str(bin_dir)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return result, log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_no_cuda_build_of_torch_unasked(tmp_path: Path, version: str) -> None:
    result, asked = install(tmp_path, version)
    assert result.returncode == 1
    assert f"make setup TORCH_INDEX={CPU_INDEX}" in result.stderr
    assert "make setup TORCH=cuda" in result.stderr
    assert asked == []
    assert not (tmp_path / "venv").exists()


def test_ci_s_python_needs_no_choice(tmp_path: Path) -> None:
    result, asked = install(tmp_path, "3.11")
    assert result.returncode == 0, result.stderr
    assert asked == [CPU, DEVELOPMENT, ASKED_TORCH, CHECKED]


def test_the_index_a_person_chose_gives_torch_and_nothing_else(tmp_path: Path) -> None:
    result, asked = install(tmp_path, "3.12", TORCH_INDEX=CPU_INDEX)
    assert result.returncode == 0, result.stderr
    (pinned,) = [
        line
        for line in (ROOT / "requirements/pipeline.in").read_text().splitlines()
        if line.startswith("torch==")
    ]
    from_index = f"install --quiet --no-deps --index-url {CPU_INDEX} {pinned}"
    assert asked == [from_index, DEVELOPMENT, ASKED_TORCH, CHECKED]


def test_the_cuda_build_where_it_is_asked_for_or_of_use(tmp_path: Path) -> None:
    result, asked = install(tmp_path, "3.13", TORCH="cuda", is_cuda=True)
    assert result.returncode == 0, result.stderr
    assert asked == [DEVELOPMENT, ASKED_TORCH, CUDA, CHECKED]


def test_a_machine_with_a_gpu_gets_vllm_with_all_it_needs(tmp_path: Path) -> None:
    result, asked = install(tmp_path, "3.13", has_gpu=True)
    assert result.returncode == 0, result.stderr
    assert asked == [DEVELOPMENT, GPU]


@pytest.mark.parametrize("version", ["3.10", "3.14"])
def test_other_versions_are_refused(tmp_path: Path, version: str) -> None:
    result, asked = install(tmp_path, version)
    assert result.returncode == 1
    assert "3.11, 3.12 or 3.13" in result.stderr
    assert asked == []


def test_the_project_s_file_names_the_same_versions() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.11,<3.14"' in text
    assert "3.11 | 3.12 | 3.13)" in (ROOT / "requirements/install.sh").read_text()
    assert "foreach v,3.11 3.12 3.13," in (ROOT / "Makefile").read_text()
