"""What a look at a file before its import is asked to do, and what it found.

It starts without torch, reads the first rows as an import with the same options would, and writes
nothing but its report. Texts are cut there: a page shows them, and a row may be long.
"""

import hashlib
import unicodedata
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.findings import Finding
from pipeline.contracts.import_specs import ColumnTarget, ReadingOptions
from pipeline.contracts.references import DatasetKind, Sha256, UploadRef


class SavedMapping(Contract):
    """What the columns of an earlier file of the same shape were said to mean."""

    shape: Sha256
    """`PreviewDatasetResults.shape` of the file."""
    columns: dict[str, ColumnTarget] = Field(default_factory=dict)
    columns_at: dict[int, ColumnTarget] = Field(default_factory=dict)


class PreviewDatasetSpec(SpecBase, ReadingOptions):
    """Read the first rows of a data file as an import would, and say how and why so."""

    kind: Literal["preview_dataset"] = "preview_dataset"
    source: UploadRef
    file_name: str = Field(min_length=1, max_length=255)
    """What the person called the file; never used as a path."""
    dataset_kind: DatasetKind
    num_rows: int = Field(default=20, ge=1, le=100)
    """Rows to show; as many that are wrong are shown at most."""
    saved_mappings: tuple[SavedMapping, ...] = Field(default=(), max_length=100)
    """The one of the file's shape is used where the options map no column."""


class PreviewedSheet(Contract):
    """A sheet of a workbook."""

    name: str
    is_visible: bool
    is_read: bool


class PreviewedColumn(Contract):
    """A column of a table, or a top-level key of JSON rows."""

    position: int | None
    """From 1; None for a key."""
    name: str
    field: str
    """What it is read as."""
    samples: tuple[str, ...]
    """Its first values that are not empty, cut."""


class PreviewedText(Contract):
    """The beginning of a text, and how long it is."""

    text: str
    num_chars: int


class PreviewedRow(Contract):
    """A row as it would be stored: its fields, those of `meta` as `meta.<name>`."""

    fields: dict[str, PreviewedText]


class PreviewedError(Contract):
    """A row that an import would reject, or why it would refuse the file."""

    code: str
    line: int | None
    column: str | None
    file: str | None
    """Member of an archive."""
    params: dict[str, str | int]
    value_excerpt: str
    is_about_file: bool


class PreviewDatasetResults(Contract):
    """How a file would be read, and its first rows."""

    kind: Literal["preview_dataset"] = "preview_dataset"
    format: str
    """Empty where the content is of no known format."""
    benchmark: str = ""
    encoding: str = ""
    """Empty for formats that have an encoding of their own."""
    delimiter: str = ""
    """Empty for anything but CSV."""
    sheets: tuple[PreviewedSheet, ...] = ()
    header_row: int | None = None
    """Line or row that names the columns, from 1; None without one."""
    reasons: dict[Literal["encoding", "delimiter", "sheets", "header_row"], Finding] = Field(
        default_factory=dict
    )
    """Why it is read so."""
    columns: tuple[PreviewedColumn, ...] = ()
    columns_at: dict[int, ColumnTarget] = Field(default_factory=dict)
    """The mapping in force: that of the options, or the saved one of this shape."""
    columns_named: dict[str, ColumnTarget] = Field(default_factory=dict)
    shape: str = ""
    """`shape_of` the columns or keys."""
    is_saved_mapping: bool = False
    rows: tuple[PreviewedRow, ...] = ()
    errors: tuple[PreviewedError, ...] = ()
    notes: tuple[Finding, ...] = ()
    members: tuple[str, ...] = ()
    """The first data files of an archive."""
    num_members: int = 0
    not_read: tuple[str, ...] = ()


def shape_of(names: Iterable[str]) -> str:
    """SHA-256 of the names of columns or keys in their order; empty where there are none.

    Names are compared without white space around them, letter case and compatibility forms.
    """
    compared = [unicodedata.normalize("NFKC", name).strip().casefold() for name in names]
    if not compared:
        return ""
    return hashlib.sha256("\n".join(compared).encode("utf-8", "surrogatepass")).hexdigest()
