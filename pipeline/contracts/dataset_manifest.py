"""What a data set version says of itself: `manifest.json` beside its `rows.parquet`."""

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.findings import Finding
from pipeline.contracts.references import DatasetKind, Sha256


class ColumnMeaning(Contract):
    """A column or top-level key of the source file and the field it was read as."""

    name: str
    field: str


class StoredColumn(Contract):
    """A column of `rows.parquet`."""

    name: str
    type: str


class ValueCounts(Contract):
    """How many rows have each value; rows beyond the first hundred values are in `num_other`."""

    values: dict[str, int]
    num_other: int = 0


class LengthSummary(Contract):
    """Characters of a text field over all rows."""

    min: int
    mean: float
    max: int


class SourceMember(Contract):
    """One data file of an archive or folder."""

    name: str
    format: str
    benchmark: str = ""
    """What its layout was recognised as; empty where it is one of the platform's own."""
    subject: str = ""
    split: str = ""
    num_rows: int = Field(ge=0)
    num_rejected: int = Field(ge=0)


class SourceFile(Contract):
    """The file the rows were read from."""

    name: str
    sha256: Sha256
    num_bytes: int = Field(ge=0)
    format: str
    encoding: str
    """Empty for formats that have an encoding of their own."""
    delimiter: str = ""
    """Between the columns of a CSV file; empty for other formats."""
    columns: tuple[ColumnMeaning, ...]
    benchmark: str = ""
    """What a single file's layout was recognised as."""
    members: tuple[SourceMember, ...] = ()
    """The data files of an archive or folder."""
    not_read: tuple[str, ...] = ()
    """Files of an archive or folder that are no data."""
    notes: tuple[Finding, ...] = ()
    """What a person should know of a workbook."""


class Revises(Contract):
    """Which version this one was made of, by whom, why, and what became of its rows."""

    rows_sha256: Sha256
    """Digest of that version."""
    author: str = ""
    reason: str = ""
    num_kept: int = Field(ge=0)
    num_changed: int = Field(ge=0)
    num_deleted: int = Field(ge=0)
    num_replaced: int = Field(ge=0)
    """By added rows of the same id."""
    num_added: int = Field(ge=0)
    num_skipped: int = Field(ge=0)
    """Added rows that were left out, because their id was there."""


class DatasetManifest(Contract):
    """A committed version; the digest of the file `rows.parquet` is the version's digest."""

    v: int = Field(default=1, ge=1, le=1)
    kind: DatasetKind
    source: SourceFile
    num_rows: int = Field(ge=1)
    num_rejected: int = Field(ge=0)
    row_schema: tuple[StoredColumn, ...]
    rows_sha256: Sha256
    counts: dict[str, ValueCounts]
    """By `lang`, `source`, `license` and those keys of `meta` that have few values."""
    lengths: dict[str, LengthSummary]
    revises: Revises | None = None
    """Of a version that was made of another one."""
