"""Refusals that need no knowledge of models: links, programs, pickles, settings that import code.

Nothing unknown reaches a loader (`clean_directory`); what is refused here could run code in some
program, so a person should know that the folder holds it.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ModelError

CODE_NAME = re.compile(
    r"\.(py|pyc|pyd|pyz|dll|dylib|exe|sh|bat|cmd|ps1|js|ipynb|class|jar|wasm|so(\.[0-9]+)*)$", re.I
)
CODE_DIRECTORIES = {"custom_generate", "__pycache__"}
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz"}
KERAS_SUFFIXES = {".h5", ".hdf5", ".keras"}
ARCHIVE_SUFFIXES = {
    ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".lz4", ".7z", ".rar", ".whl", ".egg",
}  # fmt: skip
# What a file begins with, whatever it is called.
PROGRAM_STARTS = (
    b"\x7fELF", b"MZ", b"#!", b"\0asm", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
)  # fmt: skip
KERAS_START = b"\x89HDF\r\n\x1a\n"
ARCHIVE_STARTS = (
    b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07",
)  # fmt: skip
TAR_MARK, TAR_MARK_AT = b"ustar", 257
# Settings that make a loader import code, or read weights that were not inspected.
CODE_KEYS = {
    "auto_map", "trust_remote_code", "custom_pipelines", "custom_generate", "transformers_weights"
}  # fmt: skip
MAX_ENTRIES = 2_000
SAFE_REMEDY = "Save the model again with save_pretrained(..., safe_serialization=True)"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """One file of a model; `name` is relative to the model directory, with forward slashes."""

    name: str
    size_bytes: int


def walk_files(root: Path) -> Iterator[FileFacts]:
    """Every file below `root`; links that leave it, devices and pipes are refused."""
    resolved_root = root.resolve()
    num_entries = 0
    pending = [root]
    while pending:
        for entry in pending.pop().iterdir():
            num_entries += 1
            if num_entries > MAX_ENTRIES:
                raise ModelError(
                    "model.unsafe_file",
                    f"{root} holds more than {MAX_ENTRIES} entries. Give the directory of one "
                    "model, not a folder of many.",
                )
            if entry.is_symlink():
                # Not Path.resolve: it raises on a loop of links, which is refused just below.
                target = Path(os.path.realpath(entry))
                if not target.is_relative_to(resolved_root) or not target.is_file():
                    raise ModelError(
                        "model.unsafe_file",
                        f"{entry} is a link to {target}, which is not a file inside {root}. Copy "
                        "the content instead of the link: cp -rL SOURCE TARGET.",
                    )
            mode = entry.stat().st_mode
            if stat.S_ISDIR(mode):
                if entry.name in CODE_DIRECTORIES:
                    raise _code_refused(entry)
                pending.append(entry)
            elif stat.S_ISREG(mode):
                yield FileFacts(
                    name=entry.relative_to(root).as_posix(), size_bytes=entry.stat().st_size
                )
            else:
                raise ModelError(
                    "model.unsafe_file",
                    f"{entry} is neither a file nor a directory; remove it from the model.",
                )


def refuse_unsafe_content(path: Path) -> None:
    """`path` is no program, pickle, Keras file or archive, judged by its name and its content."""
    suffix = path.suffix.lower()
    if CODE_NAME.search(path.name):
        raise _code_refused(path)
    with path.open("rb") as file:
        start = file.read(TAR_MARK_AT + len(TAR_MARK))
    if suffix == ".safetensors" and start[8:9] == b"{":
        # The length of an honest header may look like anything; this file is only ever read as
        # what it says it is.
        return
    if start.startswith(PROGRAM_STARTS):
        raise _code_refused(path)
    # Protocol 2-5 pickles begin with 0x80 and the protocol.
    is_pickle = len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5
    is_object_array = start.startswith(b"\x93NUMPY") and b"O'" in start
    if is_pickle or is_object_array or suffix in PICKLE_SUFFIXES:
        raise ModelError(
            "model.unsafe_file",
            f"{path} is (or may hold) a pickle, which runs code when it is opened. {SAFE_REMEDY} "
            "on the machine that made it and leave this file out.",
        )
    if suffix in KERAS_SUFFIXES or start.startswith(KERAS_START):
        raise ModelError(
            "model.unsafe_file",
            f"{path} is a Keras or HDF5 file, which may hold code. {SAFE_REMEDY} and leave this "
            "file out.",
        )
    is_archive = start.startswith(ARCHIVE_STARTS) or start[TAR_MARK_AT:] == TAR_MARK
    if is_archive or suffix in ARCHIVE_SUFFIXES:
        raise ModelError(
            "model.unsafe_file",
            f"{path} is an archive, which may hold pickles (torch.save writes one) or programs. "
            f"{SAFE_REMEDY} and leave this file out.",
        )


def _code_refused(path: Path) -> ModelError:
    return ModelError(
        "model.unsafe_file",
        f"{path} is program code, which a model does not need here: only architectures that "
        "ship with transformers are loaded. Remove it.",
    )


def _holds_objects(value: object) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, dict | list) for item in value)
    return isinstance(value, dict)


def refuse_code_settings(path: Path, document: object) -> None:
    """`document`, read from `path`, holds no setting that makes a loader import code."""
    pending: list[tuple[object, tuple[str, ...]]] = [(document, ())]
    while pending:
        value, keys = pending.pop()
        if isinstance(value, list):
            inside = (*keys, "[]")
            # Half a million pairs of texts are no reason to look at each again.
            pending.extend((item, inside) for item in value if _holds_objects(item))
        elif isinstance(value, dict) and keys != ("model", "vocab"):
            # In the vocabulary the keys are tokens, which may spell anything.
            for key, item in value.items():
                # `false` is what everybody gets anyway, and some libraries write it out.
                if key in CODE_KEYS and item is not False:
                    raise ModelError(
                        "model.unsafe_file",
                        f"{path} sets {'.'.join((*keys, key))!r}, which makes a loader import "
                        "code or read other weights. Remove the setting if the architecture ships "
                        "with transformers.",
                    )
                if isinstance(item, dict | list):
                    pending.append((item, (*keys, key)))
