"""The rows of a version one after another, with their indexes; never all of them in memory."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.contracts.references import DatasetRef
from pipeline.contracts.row_errors import RowError
from pipeline.data.datasets import dataset_digest
from pipeline.data.readers import numbered_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Record
from pipeline.errors import DataError


def check_file(ref: DatasetRef) -> str:
    """SHA-256 of the file that the reference names.

    Raises:
        DataError: `data.not_found`; `data.digest_mismatch` when it is another file than expected.
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


def version_rows(ref: DatasetRef) -> Iterator[tuple[int, Record]]:
    """(index from 0, row) of every row, whatever the reference filters.

    Raises:
        DataError: `data.row_invalid` for the first row that is none; a version has no such row.
    """
    path = Path(ref.resolved_path)
    items = numbered_rows(path, Reading(kind=ref.kind, encoding=ref.encoding))
    for index, item in enumerate(items):
        if isinstance(item, RowError):
            raise DataError(
                "data.row_invalid",
                f"{path}:{item.line}: {item.message}; {item.hint} [{item.code}]",
            )
        yield index, item[1]
