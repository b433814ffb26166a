"""A workbook that is safe to read, or why it is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.contracts.row_error_phrases import UNSAFE_ENTITIES
from pipeline.contracts.row_errors import RowError
from pipeline.data.workbooks.archive import damaged_workbook, inspect_archive, unsafe_workbook
from pipeline.data.workbooks.book import Workbook
from pipeline.data.workbooks.parts import DAMAGE, UnsafePartError
from pipeline.data.workbooks.sheet_rows import SheetLimitError


class WorkbookRefusedError(Exception):
    """The file cannot be read, or not on."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.code)
        self.error = error


@contextmanager
def opened_workbook(path: Path) -> Iterator[Workbook]:
    """The workbook, for as long as the caller reads it.

    Raises:
        WorkbookRefusedError: by its archive, or by what stands at the place the caller has come to.
    """
    refusal = inspect_archive(path)
    if refusal is not None:
        raise WorkbookRefusedError(refusal)
    try:
        with Workbook(path) as book:
            yield book
    except UnsafePartError:
        raise WorkbookRefusedError(unsafe_workbook(UNSAFE_ENTITIES)) from None
    except SheetLimitError as exc:
        params = {"limit": exc.limit}
        raise WorkbookRefusedError(RowError(code=exc.code, params=params)) from None
    except DAMAGE:
        raise WorkbookRefusedError(damaged_workbook()) from None
