"""Refusals that need no knowledge of models: links, code, pickles, settings that import code."""

import json
import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ModelError

CODE_SUFFIXES = {".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe", ".sh", ".ipynb"}
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz"}
# Settings that make a loader import code.
CODE_KEYS = {"auto_map", "trust_remote_code", "custom_pipelines", "custom_generate"}
# Here the keys are tokens, which may spell anything.
VOCABULARY_FILES = {"vocab.json", "added_tokens.json"}
MAX_ENTRIES = 2_000
MAX_JSON_BYTES = 64 * 2**20
MAX_JSON_DEPTH = 32
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
    """`path` is neither code nor a pickle, judged by its name and by its content."""
    suffix = path.suffix.lower()
    if suffix in CODE_SUFFIXES:
        raise ModelError(
            "model.unsafe_file",
            f"{path} is program code, which a model does not need here: only architectures that "
            "ship with transformers are loaded. Remove the file.",
        )
    with path.open("rb") as file:
        start = file.read(128)
    # Protocol 2-5 pickles begin with 0x80 and the protocol; torch.save writes a zip of pickles.
    is_pickle = len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5
    is_object_array = start.startswith(b"\x93NUMPY") and b"O'" in start
    is_pickle_archive = start.startswith(b"PK\x03\x04") and _holds_pickle(path)
    if is_pickle or is_object_array or is_pickle_archive or suffix in PICKLE_SUFFIXES:
        raise ModelError(
            "model.unsafe_file",
            f"{path} is (or may hold) a pickle, which runs code when it is opened. {SAFE_REMEDY} "
            "on the machine that made it and leave this file out.",
        )


def _holds_pickle(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith((".pkl", ".pickle", ".npy")) for name in archive.namelist())
    except zipfile.BadZipFile:
        return True  # damaged on purpose or not: other readers may still find the members


def read_json(path: Path) -> object:
    """The parsed content of a JSON file of bounded size and depth."""
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ModelError(
            "model.unsupported",
            f"{path} is {size} bytes of JSON; at most {MAX_JSON_BYTES} are read.",
        )
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as exc:
        raise ModelError(
            "model.corrupt_file", f"{path} is not JSON ({exc}). Copy it again from its source."
        ) from exc


def refuse_code_settings(path: Path, document: object) -> None:
    """`document`, read from `path`, holds no setting that makes a loader import code."""
    if path.name in VOCABULARY_FILES:
        return
    pending: list[tuple[object, tuple[str, ...]]] = [(document, ())]
    while pending:
        value, keys = pending.pop()
        if len(keys) > MAX_JSON_DEPTH:
            raise ModelError(
                "model.unsafe_file",
                f"{path} nests deeper than {MAX_JSON_DEPTH} levels. Use the original file.",
            )
        if isinstance(value, list):
            pending.extend((item, (*keys, "[]")) for item in value if isinstance(item, dict | list))
        elif isinstance(value, dict) and keys != ("model", "vocab"):
            for key, item in value.items():
                # `false` is what everybody gets anyway, and some libraries write it out.
                if key in CODE_KEYS and item is not False:
                    raise ModelError(
                        "model.unsafe_file",
                        f"{path} sets {'.'.join((*keys, key))!r}, which makes a loader import "
                        "code. Remove the setting if the architecture ships with transformers.",
                    )
                if isinstance(item, dict | list):
                    pending.append((item, (*keys, key)))
