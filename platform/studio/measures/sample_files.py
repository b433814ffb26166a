"""Reads `samples.parquet` of finished evaluations: whichever columns of the contract a file has.

A file that is older than a measure lacks its column, one of a newer version has columns that nobody
here knows: the first has no score in that measure, the second are left alone.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from django.utils.translation import gettext as _

from pipeline.contracts.samples import Task, measures_of
from pipeline.errors import DataError

logger = logging.getLogger(__name__)

_NEEDED = frozenset({"task", "item_id", "input", "reference", "answer"})
"""Without these a file holds no samples; every other column may be missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplesFile:
    """Where an evaluation's rows are, and the digest that names their content."""

    path: Path
    digest: str


def measure_columns(task: Task) -> list[str]:
    """Columns of the task's measures, and of their weights."""
    return [name for measure in measures_of(task) for name in measure.columns]


def read_columns(
    path: Path, task: Task, wanted: Sequence[str], *, item_ids: Sequence[str] | None = None
) -> pa.Table:
    """The rows of `task` with those of the wanted columns that the file has.

    Args:
        path: a `samples.parquet`.
        task: whose rows.
        wanted: names of columns.
        item_ids: only these items; None for all.

    Raises:
        DataError: `data.not_found`, the file is gone; `data.format_unsupported`, it is no samples
            file.
    """
    filters: list[tuple[str, str, object]] = [("task", "==", task)]
    if item_ids is not None:
        filters.append(("item_id", "in", list(item_ids)))
    try:
        present = set(pq.read_schema(path).names)
        if not present >= _NEEDED:
            raise _unusable(path)
        columns = [name for name in wanted if name in present]
        return pq.read_table(path, columns=columns, filters=filters)
    except FileNotFoundError as exc:
        raise DataError(
            "data.not_found",
            _(
                "The samples %(file)s are gone from the data directory; restore them from the "
                "backup or evaluate again."
            )
            % {"file": _shown(path)},
        ) from exc
    except (pa.ArrowException, OSError) as exc:
        logger.warning("samples %s: %s", path, exc)
        raise _unusable(path) from exc


def _unusable(path: Path) -> DataError:
    return DataError(
        "data.format_unsupported",
        _("The file %(file)s holds no samples of this version, or is damaged; evaluate again.")
        % {"file": _shown(path)},
    )


def _shown(path: Path) -> str:
    """The path below the data directory, whose own place is nobody's concern."""
    return "/".join(("runs", *path.parts[-3:]))
