"""Many files that come as one: a zip archive, or a folder, with one file for each subject.

No name in an archive is ever used as a path: one member at a time is unpacked to a name of our own.
Members are read in the order of their names, so that packing the same files again gives the same
rows.
"""

import contextlib
import os
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_error_phrases import (
    ARCHIVE_DUPLICATE,
    ARCHIVE_NESTED,
    ARCHIVE_SPECIAL,
    ARCHIVE_UNREADABLE_NAME,
    LIMIT_MEMBERS,
)
from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.archives import (
    ARCHIVE_DAMAGE,
    MAX_MEMBERS,
    inspect_archive,
    is_folder_name,
    is_printable,
    over_limit,
    sizes_refusal,
    tidy_name,
    unsafe,
)
from pipeline.data.benchmarks.file_roles import FileRole, file_role
from pipeline.data.documents.prose import MARKDOWN_SUFFIXES, TEXT_SUFFIXES
from pipeline.data.set_descriptions import MAX_INFO_BYTES, Descriptions, described, is_description

DATA_SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet"})
WORD_SUFFIX = ".docx"
DOCUMENT_SUFFIXES = TEXT_SUFFIXES | MARKDOWN_SUFFIXES | {WORD_SUFFIX, ".pdf"}
_ABOUT_THE_FILES = frozenset(
    {"readme", "license", "licence", "copying", "notice", "changelog", "citation", "contributing"}
)
"""Names of texts that describe the files they come with."""
_NESTED_SUFFIXES = frozenset(
    {
        ".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".lz4", ".7z",
        ".rar", ".jar", ".whl", ".xlsx", ".xlsm", ".xls", ".docx", ".iso", ".cab",
    }
)  # fmt: skip
_NESTED_SIGNATURES = (
    b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c",
    b"Rar!", b"\x28\xb5\x2f\xfd", b"\xd0\xcf\x11\xe0",
)  # fmt: skip
_CHUNK_BYTES = 1 << 20

Source = Path | zipfile.ZipInfo


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A data file of the set."""

    name: str
    """With its folders, separated by `/`; for people and for the role, never a path."""
    role: FileRole
    source: Source


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSet:
    """The data files of an archive or folder, by name, and what else is in it."""

    path: Path
    members: tuple[Member, ...]
    not_read: tuple[str, ...]
    """Files that are no data, such as README.md."""
    descriptions: Descriptions = field(default_factory=Descriptions)
    """What a file of the set says of the others."""

    def opened(self, scratch: Path) -> Iterator[tuple[Member, Path | None]]:
        """Each member and a file with its content, valid until the next one is asked for.

        None where its bytes are not what the archive says of them; the others may be whole.
        Members of an archive are unpacked to the directory `scratch`.
        """
        with contextlib.ExitStack() as stack:
            archive = (
                None if self.path.is_dir() else stack.enter_context(zipfile.ZipFile(self.path))
            )
            for member in self.members:
                if archive is None or isinstance(member.source, Path):
                    yield member, Path(str(member.source))
                    continue
                target = scratch / f"member{PurePosixPath(member.name).suffix.lower()}"
                try:
                    is_whole = _unpack(archive, member.source, target)
                    yield member, target if is_whole else None
                finally:
                    target.unlink(missing_ok=True)


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> bool:
    with target.open("xb") as file:
        try:
            for chunk in _chunks(archive, info):
                file.write(chunk)
        except _MemberDamagedError:
            return False
        return file.tell() == info.file_size


class _MemberDamagedError(Exception):
    """The bytes of a member are not what the archive says of them."""


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Errors of what is done with a chunk, such as a full disk, pass as they are."""
    try:
        with archive.open(info) as source:
            # `zipfile` gives no more of a member than it declares, and checks its CRC.
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk
    except ARCHIVE_DAMAGE as exc:
        raise _MemberDamagedError from exc


def open_file_set(path: Path, kind: DatasetKind, name: str = "") -> FileSet | RowError:
    """The data files in the zip archive or folder at `path`, or why it is refused.

    Of a corpus documents are data, too. `name` is what a person calls the set; its own name unless
    given.
    """
    if path.is_dir():
        return _opened_folder(path, kind)
    members = inspect_archive(path, name or path.name)
    if isinstance(members, RowError):
        return members
    files = [(tidy_name(name), info) for name, info in members if not is_folder_name(name)]
    found = _file_set(path, files, kind)
    if isinstance(found, RowError):
        return found
    return _nested_refusal(found) or found


def _opened_folder(path: Path, kind: DatasetKind) -> FileSet | RowError:
    files: list[tuple[str, Source]] = []
    sizes: list[int] = []
    for entry in _walk(path):
        name = Path(entry.path).relative_to(path).as_posix()
        facts = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(facts.st_mode):
            return unsafe(name, ARCHIVE_SPECIAL)
        if not is_printable(name):
            return unsafe(name, ARCHIVE_UNREADABLE_NAME)
        files.append((name, Path(entry.path)))
        sizes.append(facts.st_size)
        if len(files) > MAX_MEMBERS:
            return over_limit(LIMIT_MEMBERS, f"> {MAX_MEMBERS}", MAX_MEMBERS)
    return sizes_refusal(sizes) or _file_set(path, files, kind)


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            else:
                yield entry


def _file_set(
    path: Path, files: Iterable[tuple[str, Source]], kind: DatasetKind
) -> FileSet | RowError:
    members: list[Member] = []
    not_read: list[str] = []
    about: list[tuple[str, Source]] = []
    seen: set[str] = set()
    by_role: dict[FileRole, str] = {}
    for name, source in sorted(files, key=lambda file: file[0]):
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            return unsafe(name, ARCHIVE_DUPLICATE)
        seen.add(key)
        suffix = PurePosixPath(name).suffix.lower()
        is_document = kind == "corpus" and suffix in DOCUMENT_SUFFIXES
        if suffix in _NESTED_SUFFIXES and not is_document:
            return unsafe(name, ARCHIVE_NESTED)
        if not (is_document or suffix in DATA_SUFFIXES) or _is_not_meant(name, suffix):
            not_read.append(name)
            continue
        # Reports of two years may have one name; a document is no split of anything.
        if is_description(name):
            about.append((name, source))
            continue
        role = FileRole() if is_document else file_role(name)
        other = name if is_document else by_role.setdefault(role, name)
        if other != name:
            params = {"member": excerpt(other), "other": excerpt(name)}
            return RowError(code="file.archive_same_role", params=params)
        members.append(Member(name=name, role=role, source=source))
    contents = [(name, _beginning(path, source)) for name, source in about]
    descriptions = described(contents, [member.name for member in members])
    if isinstance(descriptions, RowError):
        return descriptions
    not_read += descriptions.not_found
    if not members:
        names = excerpt(", ".join(not_read)) if not_read else "-"
        return RowError(code="file.archive_empty", params={"names": names})
    return FileSet(
        path=path, members=tuple(members), not_read=tuple(not_read), descriptions=descriptions
    )


def _beginning(path: Path, source: Source) -> bytes:
    """As much of a description as one may have; nothing of one that cannot be unpacked."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return file.read(MAX_INFO_BYTES + 1)
    with contextlib.suppress(*ARCHIVE_DAMAGE), zipfile.ZipFile(path) as archive:
        with archive.open(source) as file:
            return file.read(MAX_INFO_BYTES + 1)
    return b""


def _is_not_meant(name: str, suffix: str) -> bool:
    """The file is hidden, or is a text about the others."""
    is_hidden = any(part.startswith((".", "__")) for part in name.split("/"))
    stem = PurePosixPath(name).stem.lower()
    return is_hidden or (suffix in DOCUMENT_SUFFIXES and stem in _ABOUT_THE_FILES)


def _nested_refusal(found: FileSet) -> RowError | None:
    """A member whose content is an archive, whatever it is called."""
    with zipfile.ZipFile(found.path) as archive:
        for member in found.members:
            if isinstance(member.source, zipfile.ZipInfo):
                # One that cannot be opened is reported when it is read.
                with contextlib.suppress(*ARCHIVE_DAMAGE), archive.open(member.source) as file:
                    head = file.read(8)
                    # What is in a Word document is looked at when it is read.
                    is_word = member.name.lower().endswith(WORD_SUFFIX)
                    if head.startswith(_NESTED_SIGNATURES) and not is_word:
                        return unsafe(member.name, ARCHIVE_NESTED)
    return None
