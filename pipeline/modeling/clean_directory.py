"""The only thing a loader sees of a model: a directory that holds what was inspected, and no more.

A directory that is its own clean directory (what the pipeline saved, what an import made) is used
as it is. For any other, one is made: with copies, where it is kept, or, for a model that is named
by its path, for the time of loading, with links to the weights.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.contracts.manifest import file_sha256
from pipeline.modeling.inspection import read_model
from pipeline.modeling.model_facts import CleanModel


@contextmanager
def clean_directory(model: CleanModel) -> Iterator[Path]:
    """A directory that loads as `model` and holds nothing else, for the time of the block."""
    if model.is_clean:
        path = model.facts.path
        yield path if path.is_dir() else path.parent
        return
    with tempfile.TemporaryDirectory(prefix="clean-model-") as scratch:
        directory = Path(scratch)
        write_documents(model, directory)
        for name, source in model.weights.items():
            _link_or_copy(source.resolve(), directory / name)
        yield directory


def write_documents(model: CleanModel, directory: Path) -> None:
    """Settings and tokenizer of `model` are in `directory`, with the content that was inspected."""
    for name, content in model.documents.items():
        (directory / name).write_bytes(content)


def copy_clean(model: CleanModel, directory: Path) -> Path:
    """The clean directory of `model` is at `directory`, which did not exist; returns it."""
    directory.mkdir()
    write_documents(model, directory)
    for name, source in model.weights.items():
        shutil.copyfile(source, directory / name)
    return directory


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except PermissionError:  # an isolated child may make no links
        shutil.copyfile(source, target)


def model_digest(path: Path) -> str:
    """SHA-256 of what would be loaded from `path`; other files in it do not count.

    That is the SHA-256 of the lines `name NUL sha256 LF` of the clean directory, in order of names:
    the digest of a foreign directory is the digest of the clean one an import makes of it.

    Raises:
        ModelError: as `read_model`.
    """
    model = read_model(path)
    digests = {
        name: hashlib.sha256(content).hexdigest() for name, content in model.documents.items()
    }
    digests |= {name: file_sha256(source) for name, source in model.weights.items()}
    total = hashlib.sha256()
    for name in sorted(digests):
        total.update(f"{name}\0{digests[name]}\n".encode())
    return total.hexdigest()
