"""What the name of a benchmark's file says: its subject, its split and its part.

Benchmarks come as one file for each subject and split: `val/law_val.csv` (C-Eval, MMLU),
`test/agronomy.csv` (CMMLU), `ARC-Challenge-Test.jsonl`, `zero_shot/3-8.json` (LawBench),
`abstract_algebra/test-00000-of-00001.parquet` (a hub's folder).
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_SPLITS = {
    "dev": "dev",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "train": "train",
    "auxiliary_train": "train",
}
HELD_APART = ("dev", "train")
"""Splits whose rows are examples to show or to learn from; they are never scored."""
_SHARD = re.compile(r"(?P<name>.+)-(?P<shard>\d{5})-of-\d{5}")
_SUFFIXED = re.compile(r"(?P<subject>.+)[-_.](?P<split>dev|val|valid|validation|test|train)", re.I)
_GENERIC_FOLDERS = frozenset({"", "data", "all", "main", "default"})


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRole:
    """Which rows a file holds, as its name has it."""

    subject: str = ""
    """Empty where the name tells only the split."""
    split: str = ""
    """`dev`, `val`, `test`, `train`, or empty."""
    part: int = 0
    """Number of the part, from 0, of a split in several files."""

    @property
    def id_prefix(self) -> str:
        """What makes the ids of the file's rows unique among its sister files; ends with `/`."""
        part = f"part-{self.part}" if self.part else ""
        return "".join(f"{name}/" for name in (self.split, self.subject, part) if name)


def file_role(name: str) -> FileRole:
    """The role of the file with this name, which may have folders before it (`/`)."""
    path = PurePosixPath(name)
    stem, part = path.stem, 0
    sharded = _SHARD.fullmatch(stem)
    if sharded:
        stem, part = sharded["name"], int(sharded["shard"])
    folders = [folder for folder in reversed(path.parts[:-1]) if folder not in {"/", "."}]
    if stem.lower() in _SPLITS:
        named = (folder for folder in folders if folder.lower() not in _SPLITS)
        folder = next(named, "")
        subject = "" if folder.lower() in _GENERIC_FOLDERS else folder
        return FileRole(subject=subject, split=_SPLITS[stem.lower()], part=part)
    suffixed = _SUFFIXED.fullmatch(stem)
    if suffixed:
        split = _SPLITS[suffixed["split"].lower()]
        return FileRole(subject=suffixed["subject"], split=split, part=part)
    splits = (_SPLITS[folder.lower()] for folder in folders if folder.lower() in _SPLITS)
    return FileRole(subject=stem, split=next(splits, ""), part=part)
