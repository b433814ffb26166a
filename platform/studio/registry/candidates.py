"""What could be imported: models that somebody put into a folder the administrator allows.

Only names are looked at here. What is inside is judged by a run, in a process of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

MAX_CANDIDATES = 200
MAX_ENTRIES = 5_000
MAX_DEPTH = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A directory with a config.json, or a `.gguf` file."""

    token: str
    """What the form sends: the number of the folder and the path inside it."""
    label: str
    path: Path


def import_candidates() -> list[Candidate]:
    """The models in the folders of `STUDIO_IMPORT_DIRS`, in order of their names."""
    found = []
    for number, folder in enumerate(settings.STUDIO_IMPORT_DIRS):
        root = Path(folder).resolve()
        for path in _models_below(root):
            name = path.relative_to(root).as_posix()
            found.append(Candidate(token=f"{number}:{name}", label=name, path=path))
    return sorted(found, key=lambda candidate: candidate.token)[:MAX_CANDIDATES]


def _models_below(root: Path) -> Iterator[Path]:
    pending = [(root, 0)]
    num_entries = 0
    while pending:
        directory, depth = pending.pop()
        try:
            entries = sorted(directory.iterdir())
        except OSError:  # not there, or not ours to read
            continue
        for entry in entries:
            num_entries += 1
            if num_entries > MAX_ENTRIES:
                return
            # A linked directory may lead out of the folder or around in circles.
            if entry.is_symlink() and (entry.is_dir() or not entry.resolve().is_relative_to(root)):
                continue
            if entry.suffix.lower() == ".gguf" and entry.is_file():
                yield entry
            elif entry.is_dir():
                if (entry / "config.json").exists():
                    yield entry
                elif depth + 1 < MAX_DEPTH:
                    pending.append((entry, depth + 1))
