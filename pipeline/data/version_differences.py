"""Which rows of two stored versions differ, by id, in memory that does not hold the rows.

16 bytes are kept for the id of each older row and 8 for each of its fields (`hashlib.blake2b`); the
order of rows is no difference. Two different texts pass as equal with a chance of 1 in 10^19.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.stored_ids import id_digest

BATCH_ROWS = 2_000
SCHEMA = pa.schema(
    [
        ("change", pa.string()),
        ("id", pa.string()),
        ("older_index", pa.int64()),
        ("newer_index", pa.int64()),
        ("fields", pa.list_(pa.string())),
    ]
)
"""`change` is added, changed or removed; indexes count rows from 0; `fields` are those changed."""

Difference = dict[str, Any]
Batch = tuple[int, list[str], npt.NDArray[np.uint64]]


class VersionDifferences:
    """Goes through both versions and counts."""

    def __init__(self, older: Path, newer: Path) -> None:
        self._older, self._newer = older, newer
        names = [*pq.read_schema(older).names, *pq.read_schema(newer).names]
        self._fields = [name for name in dict.fromkeys(names) if name != "id"]
        self.num_same = self.num_changed = self.num_added = self.num_removed = 0
        self.changed_fields: Counter[str] = Counter()

    def found(self) -> Iterator[list[Difference]]:
        """Every difference, in batches: added and changed rows in the newer order, then removed."""
        num_rows = pq.read_metadata(self._older).num_rows
        ids = np.empty(num_rows, dtype="S16")
        contents = np.empty((num_rows, len(self._fields)), dtype=np.uint64)
        for start, names, digests in self._batches(self._older):
            ids[start : start + len(names)] = [id_digest(name) for name in names]
            contents[start : start + len(names)] = digests
        order = np.argsort(ids, kind="stable")
        is_kept = np.zeros(num_rows, dtype=bool)
        for start, names, digests in self._batches(self._newer):
            wanted = np.array([id_digest(name) for name in names], dtype="S16")
            places = np.searchsorted(ids, wanted, sorter=order)
            rows = order[np.minimum(places, num_rows - 1)]
            is_known = ids[rows] == wanted
            is_kept[rows[is_known]] = True
            differs = contents[rows] != digests
            yield [
                self._difference(
                    name, start + offset, int(rows[offset]), bool(is_known[offset]), differs[offset]
                )
                for offset, name in enumerate(names)
                if not is_known[offset] or differs[offset].any()
            ]
            self.num_same += int((is_known & ~differs.any(axis=1)).sum())
        for start, names, _digests in self._batches(self._older):
            yield [
                {
                    "change": "removed",
                    "id": name,
                    "older_index": start + offset,
                    "newer_index": None,
                    "fields": [],
                }
                for offset, name in enumerate(names)
                if not is_kept[start + offset]
            ]
        self.num_removed = int((~is_kept).sum())

    def _difference(
        self, name: str, newer: int, older: int, is_known: bool, differs: npt.NDArray[np.bool_]
    ) -> Difference:
        if not is_known:
            self.num_added += 1
            return {
                "change": "added",
                "id": name,
                "older_index": None,
                "newer_index": newer,
                "fields": [],
            }
        fields = [field for field, is_other in zip(self._fields, differs, strict=True) if is_other]
        self.num_changed += 1
        self.changed_fields.update(fields)
        return {
            "change": "changed",
            "id": name,
            "older_index": older,
            "newer_index": newer,
            "fields": fields,
        }

    def _batches(self, path: Path) -> Iterator[Batch]:
        """Index of the first row, ids, and digests of the fields; shape [rows, fields]."""
        start = 0
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                columns = batch.to_pydict()
                digests = np.zeros((batch.num_rows, len(self._fields)), dtype=np.uint64)
                for index, field in enumerate(self._fields):
                    if field in columns:
                        digests[:, index] = [_digest(value) for value in columns[field]]
                yield start, columns["id"], digests
                start += batch.num_rows


def _digest(value: Any) -> int:
    if value is None:
        return 0
    if not isinstance(value, str):
        value = json.dumps(_without_nulls(value), sort_keys=True, ensure_ascii=False)
    return int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little")


def _without_nulls(value: Any) -> Any:
    """Turns have more fields in newer versions than in older ones; what is absent is no change."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if item is not None}
    return value
