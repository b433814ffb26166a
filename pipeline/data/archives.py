"""What is refused of a zip archive before a byte of it is unpacked.

An archive that breaks one rule is refused whole: what else is in it cannot be trusted either.
"""

import contextlib
import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pipeline.contracts.row_error_phrases import (
    ARCHIVE_ABSOLUTE,
    ARCHIVE_ENCRYPTED,
    ARCHIVE_METHOD,
    ARCHIVE_OVERLAP,
    ARCHIVE_PARENT,
    ARCHIVE_SPECIAL,
    ARCHIVE_UNREADABLE_NAME,
    LIMIT_MEMBER_BYTES,
    LIMIT_MEMBERS,
    LIMIT_RATIO,
    LIMIT_UNPACKED_BYTES,
)
from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.archive_names import member_names

MAX_MEMBERS = 1_000
MAX_UNPACKED_BYTES = 1 << 30
MAX_MEMBER_BYTES = 256 << 20
MAX_RATIO = 100
MIN_BYTES_FOR_RATIO = 1 << 20
"""Small members of equal bytes compress to almost nothing without being an attack."""
MAX_DIRECTORY_BYTES = 1 << 20
"""Of the list of members, which is read whole before one of them is looked at."""
MAX_NAME_CHARS = 400
ARCHIVE_DAMAGE = (
    zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, NotImplementedError,
    RuntimeError, OSError, OverflowError,
)  # fmt: skip
"""What `zipfile` raises on archives that are not what the format says."""
_ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
_LOCAL_HEADER_BYTES = 30
_DRIVE = re.compile(r"[A-Za-z]:")

NamedInfo = tuple[str, zipfile.ZipInfo]


class _BoundedFile(io.BufferedReader):
    """Refuses to give more at once than a list of members may take."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise _DirectoryTooLargeError
        return super().read(size)


class _DirectoryTooLargeError(Exception):
    """The archive declares a list of members of many megabytes."""


def archive_format(path: Path) -> Literal["zip", "xlsx", "docx"]:
    """What the zip archive at `path` is: the office formats are archives, too.

    One that cannot be opened is what its name says, so that the error is about that.
    """
    try:
        with _listed(path) as archive:
            if "[Content_Types].xml" not in archive.NameToInfo:
                return "zip"
            is_word = any(name.startswith("word/") for name in archive.NameToInfo)
            return "docx" if is_word else "xlsx"
    except _DirectoryTooLargeError:
        return "zip"
    except ARCHIVE_DAMAGE:
        named: dict[str, Literal["zip", "docx"]] = {".zip": "zip", ".docx": "docx"}
        return named.get(path.suffix.lower(), "xlsx")


def inspect_archive(path: Path, name: str) -> list[NamedInfo] | RowError:
    """Name and description of each member, folders too, or why the archive `name` is refused."""
    try:
        with _listed(path) as archive:
            infos = archive.infolist()
    except _DirectoryTooLargeError:
        return over_limit(LIMIT_MEMBERS, f"> {MAX_MEMBERS}", MAX_MEMBERS)
    except ARCHIVE_DAMAGE:
        return RowError(code="file.archive_damaged", params={"member": excerpt(name)})
    if len(infos) > MAX_MEMBERS:
        return over_limit(LIMIT_MEMBERS, len(infos), MAX_MEMBERS)
    members = list(zip(member_names(infos), infos, strict=True))
    refusals = (_member_refusal(name, info) for name, info in members)
    refusal = (
        sizes_refusal([info.file_size for info in infos])
        or _ratio_refusal(path.stat().st_size, infos)
        or next((refusal for refusal in refusals if refusal is not None), None)
        or _overlap_refusal(members)
    )
    return members if refusal is None else refusal


@contextlib.contextmanager
def _listed(path: Path) -> Iterator[zipfile.ZipFile]:
    with _BoundedFile(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        yield archive


def sizes_refusal(sizes: Sequence[int]) -> RowError | None:
    """The files are too large, one of them or all together.

    For an archive the sizes are declared; `zipfile` never unpacks more of a member than that.
    """
    if max(sizes, default=0) > MAX_MEMBER_BYTES:
        return over_limit(LIMIT_MEMBER_BYTES, _mib(max(sizes)), _mib(MAX_MEMBER_BYTES))
    if sum(sizes) > MAX_UNPACKED_BYTES:
        return over_limit(LIMIT_UNPACKED_BYTES, _mib(sum(sizes)), _mib(MAX_UNPACKED_BYTES))
    return None


def _ratio_refusal(num_packed: int, infos: Sequence[zipfile.ZipInfo]) -> RowError | None:
    pairs = [(info.file_size, info.compress_size) for info in infos]
    pairs.append((sum(info.file_size for info in infos), num_packed))
    for unpacked, packed in pairs:
        ratio = unpacked // max(1, packed)
        if unpacked > MIN_BYTES_FOR_RATIO and ratio > MAX_RATIO:
            return over_limit(LIMIT_RATIO, ratio, MAX_RATIO)
    return None


def _member_refusal(name: str, info: zipfile.ZipInfo) -> RowError | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if not is_printable(name) or len(name) > MAX_NAME_CHARS or not tidy_name(name):
        return unsafe(name, ARCHIVE_UNREADABLE_NAME)
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return unsafe(name, ARCHIVE_ABSOLUTE)
    if ".." in name.replace("\\", "/").split("/"):
        return unsafe(name, ARCHIVE_PARENT)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return unsafe(name, ARCHIVE_SPECIAL)
    if info.flag_bits & _ENCRYPTED_FLAGS:
        return unsafe(name, ARCHIVE_ENCRYPTED)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return unsafe(name, ARCHIVE_METHOD)
    return None


def _overlap_refusal(members: Iterable[NamedInfo]) -> RowError | None:
    end = 0
    for name, info in sorted(members, key=lambda member: member[1].header_offset):
        if info.header_offset < end:
            return unsafe(name, ARCHIVE_OVERLAP)
        end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
    return None


def is_folder_name(name: str) -> bool:
    """The member is a folder."""
    return name.endswith(("/", "\\"))


def tidy_name(name: str) -> str:
    """The name with `/` between its folders and without empty ones."""
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in {"", "."})


def is_printable(name: str) -> bool:
    """A person can read the name: no control characters, no signs of a failed conversion."""
    return name.isprintable() and "\ufffd" not in name


def unsafe(name: str, reason: str) -> RowError:
    """The set is refused for what one of its members is."""
    params = {"member": excerpt(name), "reason": reason}
    return RowError(code="file.archive_unsafe", params=params)


def over_limit(reason: str, found: int | str, limit: int | str) -> RowError:
    """The set is refused for its size."""
    params = {"reason": reason, "count": found, "limit": limit}
    return RowError(code="file.archive_limit", params=params)


def _mib(num_bytes: int) -> str:
    return f"{-(-num_bytes // (1 << 20))} MiB"
