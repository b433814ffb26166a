"""Which row of a table names its columns, where nobody has said so."""

from collections.abc import Sequence

from pipeline.contracts.row_errors import RowError
from pipeline.data.columns import resolve_columns
from pipeline.data.reading import Reading

NUM_ROWS_SEARCHED = 20


def header_index(rows: Sequence[Sequence[str]], reading: Reading) -> int:
    """Index of the header among the first rows that are not blank; those before it are titles.

    The first row that names every column the kind needs; else the first that has more than half as
    many filled cells as the fullest, because a title stands alone in its row.
    """
    rows = rows[:NUM_ROWS_SEARCHED]
    for index, cells in enumerate(rows):
        if not isinstance(resolve_columns(cells, reading), RowError):
            return index
    filled = [sum(bool(cell.strip()) for cell in cells) for cells in rows]
    return next((i for i, count in enumerate(filled) if 2 * count > max(filled)), 0)
