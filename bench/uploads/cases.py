"""A file as an expert or an attacker would upload it, and what is right to happen with it."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.contracts.references import DatasetKind

Fields = Mapping[str, object]
"""Fields of a stored row; the row may have more, `meta` is compared as an object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What may come of a file."""

    rows: tuple[Fields, ...] = ()
    """In their order; all there are."""
    codes: tuple[str, ...] = ()
    """Of each error in the file's order; `*` stands for any letters."""

    def is_met_by(self, rows: Sequence[Fields], codes: Sequence[str]) -> bool:
        """These rows were kept, and these errors told."""
        return (
            self.has_rows(rows)
            and len(codes) == len(self.codes)
            and all(map(fnmatchcase, codes, self.codes))
        )

    def has_rows(self, rows: Sequence[Fields]) -> bool:
        """Exactly these rows were kept."""
        return len(rows) == len(self.rows) and all(map(_has, rows, self.rows))


def _has(row: Fields, expected: Fields) -> bool:
    return all(row.get(name) == value for name, value in expected.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One file."""

    name: str
    """With the suffix; unique in its corpus."""
    write: Callable[[Path], object]
    outcomes: tuple[Outcome, ...]
    """Each of them is right."""
    kind: DatasetKind = "domain_test"
    options: Fields = field(default_factory=dict)
    """Of `ReadingOptions`."""
    is_large: bool = False
    """It takes seconds to write or to read, so that tests leave it out."""


def case(
    name: str,
    content: bytes | str | Callable[[Path], object],
    *outcomes: Outcome,
    kind: DatasetKind = "domain_test",
    is_large: bool = False,
    **options: object,
) -> Case:
    """A case whose file has `content`, a text in UTF-8, or is written by it."""
    write = content if callable(content) else _writer(content)
    return Case(
        name=name, write=write, outcomes=outcomes, kind=kind, options=options, is_large=is_large
    )


def _writer(content: bytes | str) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def refused(*codes: str) -> Outcome:
    """No row is kept."""
    return Outcome(codes=codes)


def kept(*rows: Fields, codes: Sequence[str] = ()) -> Outcome:
    """These rows are kept, and rows with these errors are not."""
    return Outcome(rows=rows, codes=tuple(codes))


def asked(*pairs: tuple[str, str], codes: Sequence[str] = ()) -> Outcome:
    """These questions are kept with their answers."""
    rows = tuple({"instruction": question, "output": answer} for question, answer in pairs)
    return Outcome(rows=rows, codes=tuple(codes))


def said(*conversations: Sequence[tuple[str, str]], codes: Sequence[str] = ()) -> Outcome:
    """These conversations of (role, content) are kept."""
    rows: list[Fields] = [
        {"messages": [{"role": role, "content": content} for role, content in turns]}
        for turns in conversations
    ]
    return Outcome(rows=tuple(rows), codes=tuple(codes))


def lines(*objects: object) -> str:
    """JSON Lines."""
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


def table(
    rows: Sequence[Sequence[str]],
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    end: str = "\r\n",
    before: bytes = b"",
) -> bytes:
    """CSV."""
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    return before + file.getvalue().encode(encoding)
