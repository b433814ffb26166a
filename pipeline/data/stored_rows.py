"""Rows of a committed version, each as a record."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.contracts.references import DatasetKind, DatasetRef
from pipeline.contracts.row_errors import RowError
from pipeline.data.datasets import dataset_digest
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Record
from pipeline.errors import DataError


def stored_rows(path: Path, kind: DatasetKind) -> Iterator[Record]:
    """Every row of the version whose `rows.parquet` is at `path`, in its order.

    Raises:
        DataError: `data.row_invalid`: a row is none by the rules of today; it is named.
    """
    for item in scan_rows(path, Reading(kind=kind)):
        if isinstance(item, RowError):
            raise DataError(
                "data.row_invalid",
                f"{path}: row {item.line}: {item.message}; {item.hint} [{item.code}]",
            )
        yield item


def checked_version(ref: DatasetRef) -> str:
    """SHA-256 of the version's rows, which are those that were described.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch`.
    """
    path = Path(ref.resolved_path)
    if not path.is_file():
        raise DataError("data.not_found", f"{path} does not exist: the version was removed")
    found = dataset_digest(path)
    if ref.digest not in (None, found):
        raise DataError(
            "data.digest_mismatch",
            f"{path} has SHA-256 {found}, expected {ref.digest}: it is not the version that was "
            "described",
        )
    return found
