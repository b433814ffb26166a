"""Rows of a committed version, each as a record."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.contracts.references import DatasetRef
from pipeline.contracts.row_errors import RowError
from pipeline.data.datasets import dataset_digest
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Record
from pipeline.errors import DataError


def stored_rows(ref: DatasetRef) -> Iterator[Record]:
    """Every row of the version in its order, whatever the reference filters; never all in memory.

    Raises:
        DataError: `data.row_invalid`: a row is none by the rules of today; it is named.
    """
    path = Path(ref.resolved_path)
    for item in scan_rows(path, Reading(kind=ref.kind, encoding=ref.encoding)):
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
        raise DataError("data.not_found", f"{path} is not there; choose another version")
    found = dataset_digest(path)
    if ref.digest not in (None, found):
        raise DataError(
            "data.digest_mismatch",
            f"{path} has SHA-256 {found}, expected {ref.digest}: the file has changed since the "
            "run was described; restore it, or describe the run again",
        )
    return found
