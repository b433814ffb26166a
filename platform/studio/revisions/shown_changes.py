"""Collected changes in words."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pipeline.contracts.dataset_revisions import (
    AddRow,
    DeleteRow,
    MapValue,
    ReplaceRow,
    RowChange,
)
from studio.revisions.models import PendingChange
from studio.revisions.services import stored_change

MAX_CHARS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownChange:
    """One line of the list."""

    pk: int
    what: str
    row_id: str
    content: str
    reason: str


def shown_changes(pending: Iterable[PendingChange]) -> list[ShownChange]:
    """Each change with what it does, to which row, and why."""
    return [_shown(found.pk, stored_change(found)) for found in pending]


def _shown(pk: int, change: RowChange) -> ShownChange:
    row_id = content = reason = ""
    if isinstance(change, ReplaceRow):
        what, row_id, reason = _("Change the row"), change.id, change.reason
        content = _texts(json.loads(change.text))
    elif isinstance(change, DeleteRow):
        what, row_id, reason = _("Take the row out"), change.id, change.reason
    elif isinstance(change, AddRow):
        what, reason = _("Add a repaired row"), change.reason
        content = _texts(change.cells) if change.cells is not None else change.text or ""
    elif isinstance(change, MapValue):
        what = _("In every row: %(field)s %(value)s becomes %(to)s") % {
            "field": change.field,
            "value": change.value or "-",
            "to": change.to,
        }
    else:
        what = _("In every text: take white space off both ends")
    if len(content) > MAX_CHARS:
        content = f"{content[:MAX_CHARS]}..."
    return ShownChange(pk=pk, what=what, row_id=row_id, content=content, reason=reason)


def _texts(row: Mapping[str, object]) -> str:
    found: list[str] = []
    for name, value in row.items():
        if name == "lang":
            continue
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            found += [
                str(item.get("content", "")) if isinstance(item, dict) else str(item)
                for item in value
            ]
    return " / ".join(text for text in found if text)
