"""An open workbook: its sheets and their rows."""

import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType

from pipeline.data.workbooks.cell_values import CellValues
from pipeline.data.workbooks.contents import Contents, Sheet, read_contents
from pipeline.data.workbooks.merged_cells import MergedFill, read_merged_rows
from pipeline.data.workbooks.notes import SheetNotes
from pipeline.data.workbooks.shared_strings import SharedStrings, read_shared_strings
from pipeline.data.workbooks.sheet_rows import SheetRow, read_rows
from pipeline.data.workbooks.styles import read_styles


class Workbook:
    """An archive that `inspect_archive` let pass.

    All of it raises what `parts.DAMAGE` lists, `UnsafePartError` and `SheetLimitError`.
    """

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self._strings: SharedStrings | None = None

    def __enter__(self) -> "Workbook":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._strings is not None:
            self._strings.close()
        self._archive.close()

    @cached_property
    def _contents(self) -> Contents:
        return read_contents(self._archive)

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        """Worksheets in the order of their tabs."""
        return self._contents.sheets

    @cached_property
    def _values(self) -> CellValues:
        contents = self._contents
        is_1904 = contents.is_1904
        styles = read_styles(self._archive, contents.styles_part, is_1904=is_1904)
        self._strings = read_shared_strings(self._archive, contents.strings_part)
        return CellValues(self._strings, styles, is_1904=is_1904)

    def rows(self, sheet: Sheet, notes: SheetNotes | None = None) -> Iterator[SheetRow]:
        """The rows of the sheet that show something; `notes` gets what is found on the way."""
        values = self._values
        merged = MergedFill(read_merged_rows(self._archive, sheet.part))
        with self._archive.open(sheet.part) as file:
            yield from read_rows(file, values, merged, notes or SheetNotes(sheet.name))

    def has_content(self, sheet: Sheet) -> bool:
        """Whether a row of the sheet shows something; read no further than the first."""
        with self._archive.open(sheet.part) as file:
            rows = read_rows(file, self._values, MergedFill([]), SheetNotes(sheet.name))
            return next(rows, None) is not None
