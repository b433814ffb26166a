"""The first rows of a file, small enough for a page."""

from pipeline.contracts.preview_dataset import PreviewedError, PreviewedRow, PreviewedText
from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_errors import RowError
from pipeline.contracts.stored_rows import row_texts
from pipeline.data.import_sources import SourceData
from pipeline.data.records import Record
from pipeline.data.seen_ids import SeenIds
from pipeline.data.version_files import storable, storable_params, stored_row

MAX_ITEMS = 1_000
"""Rows looked at, where most are of one kind, right or wrong."""
MAX_TEXT_CHARS = 500
MAX_CHARS = 200_000
"""Of all texts together: the report stays small whatever the rows hold."""
MAX_FIELDS = 100


class Sample:
    """The first right rows of a file or of several, and the first wrong ones."""

    def __init__(self, kind: DatasetKind, num_rows: int) -> None:
        self._kind = kind
        self._num_rows = num_rows
        self._rows: list[PreviewedRow] = []
        self._errors: list[PreviewedError] = []
        self._num_items = 0
        self._num_chars = 0

    @property
    def rows(self) -> tuple[PreviewedRow, ...]:
        """The right rows, as they would be stored."""
        return tuple(self._rows)

    @property
    def errors(self) -> tuple[PreviewedError, ...]:
        """What is wrong with others among the first rows, or with the file."""
        return tuple(self._errors)

    @property
    def is_full(self) -> bool:
        """Nothing more is wanted."""
        return (
            len(self._rows) >= self._num_rows
            or len(self._errors) >= self._num_rows
            or self._num_items >= MAX_ITEMS
            or self._num_chars >= MAX_CHARS
        )

    def take(self, data: SourceData, taken: SeenIds) -> None:
        """The first rows of one more file; `taken` as for `SourceData.items`."""
        for item, _original in data.items(taken):
            self.add(item)
            if self.is_full:
                return

    def add(self, item: Record | RowError) -> None:
        """One more row, or what is wrong with a row or a file."""
        self._num_items += 1
        if isinstance(item, RowError):
            self._errors.append(previewed_error(item))
        else:
            self._rows.append(self._row(item))

    def _row(self, record: Record) -> PreviewedRow:
        texts = list(row_texts(stored_row(record, self._kind)).items())[:MAX_FIELDS]
        fields = {}
        for name, text in texts:
            shown = text[:MAX_TEXT_CHARS] if self._num_chars < MAX_CHARS else ""
            self._num_chars += len(shown)
            fields[storable(name)] = PreviewedText(text=storable(shown), num_chars=len(text))
        return PreviewedRow(fields=fields)


def previewed_error(error: RowError) -> PreviewedError:
    """The error as a report can hold it."""
    return PreviewedError(
        code=error.code,
        line=error.line,
        column=None if error.column is None else storable(error.column),
        file=None if error.file is None else storable(error.file),
        params=storable_params(error),
        value_excerpt=storable(error.value_excerpt),
        is_about_file=error.is_about_file,
    )
