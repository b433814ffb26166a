"""What the two imports found."""

from typing import Literal

from pipeline.contracts.base import Contract
from pipeline.contracts.dataset_manifest import DatasetManifest, SourceFile


class RowErrorExample(Contract):
    """What fills the words of one row error (`contracts.row_errors` has them)."""

    params: dict[str, str | int]
    value_excerpt: str


class RowErrorGroup(Contract):
    """All row errors of one code."""

    code: str
    count: int
    first_lines: tuple[int, ...]
    first_files: tuple[str, ...] = ()
    """Of the first lines, where the rows came in several files."""
    is_about_file: bool
    example: RowErrorExample


class ImportDatasetResults(Contract):
    """Which rows of a file are valid, and what is wrong with the others."""

    kind: Literal["import_dataset"] = "import_dataset"
    num_rows: int
    num_rejected: int
    is_committed: bool
    """A version was written."""
    has_file_error: bool
    errors_by_code: tuple[RowErrorGroup, ...]
    """Most frequent first."""
    source: SourceFile
    manifest: DatasetManifest | None = None
    """Of the version, where one was written."""


class ImportCheckpointResults(Contract):
    """What was copied."""

    kind: Literal["import_checkpoint"] = "import_checkpoint"
    num_files: int
    num_bytes: int
