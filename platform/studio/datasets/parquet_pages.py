"""Pages of rows out of Parquet files that the platform wrote itself.

Only the row groups that hold the page are read; the writer keeps them small
(`pipeline.data.version_files`), so a page costs the same anywhere in a file of any size.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq


@dataclass(frozen=True, kw_only=True, slots=True)
class RowPage:
    """Consecutive rows with their indexes from 0, and where the pages around them begin."""

    rows: list[tuple[int, dict[str, Any]]]
    num_rows: int
    """Of the whole file."""
    previous_start: int | None
    next_start: int | None


def read_page(path: Path, *, start: int, size: int) -> RowPage:
    """Rows `start` to `start + size` of the file; fewer at its end."""
    rows: list[tuple[int, dict[str, Any]]] = []
    with pq.ParquetFile(path) as file:
        num_rows = file.metadata.num_rows
        first = 0
        for group in range(file.metadata.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            if last > start and len(rows) < size:
                offset = max(start - first, 0)
                table = file.read_row_group(group).slice(offset, size - len(rows))
                rows += enumerate(table.to_pylist(), start=first + offset)
            first = last
    return RowPage(
        rows=rows,
        num_rows=num_rows,
        previous_start=max(start - size, 0) if start > 0 else None,
        next_start=start + size if start + size < num_rows else None,
    )


def read_matching_page(path: Path, *, column: str, value: str, start: int, size: int) -> RowPage:
    """The first `size` rows from index `start` on whose `column` is `value`.

    The column alone is read of the groups that hold none. `num_rows` counts all rows of the file;
    `previous_start` is its beginning, because a page backwards is not worth a second index.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    with pq.ParquetFile(path) as file:
        first = 0
        for group in range(file.metadata.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            if last > start and len(found) <= size:
                values = file.read_row_group(group, columns=[column]).column(0)
                matches = pc.indices_nonzero(pc.equal(values, value)).to_pylist()
                wanted = [index for index in matches if first + index >= start]
                wanted = wanted[: size + 1 - len(found)]
                if wanted:
                    rows = file.read_row_group(group).take(wanted).to_pylist()
                    found += zip((first + index for index in wanted), rows, strict=True)
            first = last
        num_rows = file.metadata.num_rows
    return RowPage(
        rows=found[:size],
        num_rows=num_rows,
        previous_start=0 if start > 0 else None,
        next_start=found[size][0] if len(found) > size else None,
    )


def iter_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every row, one row group in memory at a time."""
    with pq.ParquetFile(path) as file:
        for group in range(file.metadata.num_row_groups):
            yield from file.read_row_group(group).to_pylist()
