"""General-ability questions answered by two models, as retention is measured on."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.metrics.retention_table import RetentionItem


def retention_items(
    baseline: Sequence[Mapping[str, Any]], candidate: Sequence[Mapping[str, Any]], *, score: str
) -> list[RetentionItem]:
    """One item for each question that either side has, with the score in column `score`.

    Args:
        baseline: rows of `samples.parquet`, task `general_ability`.
        candidate: as `baseline`.
    """
    before, after = ({str(row["item_id"]): row for row in rows} for rows in (baseline, candidate))
    return [
        _item(item_id, before.get(item_id), after.get(item_id), score)
        for item_id in dict.fromkeys((*before, *after))
    ]


def _item(
    item_id: str, base: Mapping[str, Any] | None, new: Mapping[str, Any] | None, score: str
) -> RetentionItem:
    known = base or new
    assert known is not None  # noqa: S101 (the id came from one of the two)
    return RetentionItem(
        item_id=item_id,
        category=known["category"],
        base=None if base is None else float(base[score]),
        new=None if new is None else float(new[score]),
        num_choices=len(known["choices"]),
        cluster=known["cluster"],
    )
