"""Pages of flagged rows, out of the file that a check wrote."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.contracts.quality_checks import CheckCode
from studio.datasets.parquet_pages import read_matching_page, read_page
from studio.quality.reasons import CHECK_LABELS, ShownFlag, reason

PAGE_SIZE = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class FlagPage:
    """Consecutive flags of one check or of all, and where the pages around them begin."""

    flags: tuple[ShownFlag, ...]
    previous_start: int | None
    next_start: int | None


def read_flags(
    path: Path, *, check: CheckCode | None, start: int, kind: str, test_names: Sequence[str]
) -> FlagPage:
    """Flags from index `start` of the file on; `kind` is that of the rows."""
    if check is None:
        page = read_page(path, start=start, size=PAGE_SIZE)
    else:
        page = read_matching_page(path, column="check", value=check, start=start, size=PAGE_SIZE)
    return FlagPage(
        flags=tuple(_shown(row, kind, test_names) for _index, row in page.rows),
        previous_start=page.previous_start,
        next_start=page.next_start,
    )


def _shown(row: dict[str, object], kind: str, test_names: Sequence[str]) -> ShownFlag:
    check: CheckCode = row["check"]  # type: ignore[assignment]  # the writer's own codes
    params = json.loads(str(row["params"]))
    kept_row = params.get("kept_row")
    return ShownFlag(
        row=int(str(row["row"])),
        row_id=str(row["id"]),
        check=check,
        label=str(CHECK_LABELS[check]),
        reason=reason(check, params, float(str(row["score"])), kind=kind, test_names=test_names),
        kept_row=kept_row if isinstance(kept_row, int) else None,
    )
