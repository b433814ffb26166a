"""The ids of a stored version: 16 bytes each, whatever their length."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

_BATCH_ROWS = 10_000
_GENERATED = re.compile(r"line-(\d{1,15})")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredIds:
    """`identifier in ids` for the ids of one version."""

    digests: npt.NDArray[np.bytes_]
    """In rising order; shape [rows], dtype S16."""
    highest: int
    """Of the numbers in generated ids; 0 where there are none."""

    def __contains__(self, identifier: str) -> bool:
        digest = id_digest(identifier)
        index = int(np.searchsorted(self.digests, np.bytes_(digest)))
        # numpy gives such a value back without zero bytes at its end.
        return index < len(self.digests) and self.digests[index] == digest.rstrip(b"\x00")


NO_IDS = StoredIds(digests=np.empty(0, dtype="S16"), highest=0)


def id_digest(identifier: str) -> bytes:
    """BLAKE2b, 128 bits: that two of a billion ids share one has a chance below 1 in 10^20."""
    return hashlib.blake2b(identifier.encode(), digest_size=16).digest()


def generated_number(identifier: str) -> int | None:
    """The number in an id that was generated, because the row had none."""
    match = _GENERATED.fullmatch(identifier)
    return int(match.group(1)) if match else None


def stored_ids(path: Path) -> StoredIds:
    """The ids of the version whose `rows.parquet` is at `path`."""
    highest = start = 0
    with pq.ParquetFile(path) as file:
        digests = np.empty(file.metadata.num_rows, dtype="S16")
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=["id"]):
            ids = batch.column(0).to_pylist()
            digests[start : start + len(ids)] = [id_digest(identifier) for identifier in ids]
            start += len(ids)
            highest = max(highest, *(generated_number(identifier) or 0 for identifier in ids), 0)
    digests.sort()
    return StoredIds(digests=digests, highest=highest)
