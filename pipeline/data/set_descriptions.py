"""What the files of a set say of one another: a `dataset_info.json` among them."""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.json_values import parse_object
from pipeline.data.llama_factory import INFO_NAME, DatasetEntry, entries_of
from pipeline.data.row_fields import InvalidRowError

MAX_INFO_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptions:
    """Which entry describes which member."""

    entries: Mapping[str, DatasetEntry] = field(default_factory=dict)
    """By the name of the member."""
    not_found: tuple[str, ...] = ()
    """Entries whose file is not in the set, or that another entry describes already, and files
    of this name that describe nothing."""


def is_description(name: str) -> bool:
    """The member describes others."""
    return posixpath.basename(name) == INFO_NAME


def described(
    contents: Iterable[tuple[str, bytes]], members: Sequence[str]
) -> Descriptions | RowError:
    """What the descriptions (name, content) in a set say of its members.

    Returns an error for one that is no JSON object.
    """
    entries: dict[str, DatasetEntry] = {}
    not_found: list[str] = []
    for name, content in contents:
        try:
            if len(content) > MAX_INFO_BYTES:
                raise ValueError
            document = parse_object(content.decode("utf-8-sig"))
        except (InvalidRowError, ValueError):
            return RowError(code="file.info_damaged", params={"member": excerpt(name)})
        entries_here = entries_of(document)
        if entries_here is None:
            not_found.append(name)
            continue
        for entry in entries_here:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), entry.file_name))
            found = [member for member in members if _is_at(member, path)]
            if not any(entries.setdefault(member, entry) is entry for member in found):
                not_found.append(f"{name}: {entry.name} ({entry.file_name})")
    return Descriptions(entries=entries, not_found=tuple(not_found))


def _is_at(member: str, path: str) -> bool:
    return member == path or member.startswith(f"{path}/")
