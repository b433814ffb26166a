"""Pages of long lists: by the last id seen, so that page 1000 costs what page 1 costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import models
from django.http import HttpRequest

PAGE_SIZE = 50
_BEFORE, _AFTER = "before", "after"

T = TypeVar("T", bound=models.Model)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeysetPage(Generic[T]):
    """Rows, newest first, and the query strings of the pages around them ("" where none is)."""

    rows: Sequence[T]
    newer_query: str
    older_query: str


def keyset_page(
    queryset: models.QuerySet[T], *, request: HttpRequest, size: int = PAGE_SIZE
) -> KeysetPage[T]:
    """The page of `queryset`, ordered by descending id, that the request's query asks for.

    A cursor that is not a number is ignored, as if the link had been cut off.
    """
    before = _cursor(request, _BEFORE)
    after = _cursor(request, _AFTER)
    # One row more than fits tells whether there is a further page.
    if after is not None:
        rows = list(queryset.filter(pk__gt=after).order_by("pk")[: size + 1])
        has_newer, has_older = len(rows) > size, True
        rows = rows[:size][::-1]
    else:
        older = queryset if before is None else queryset.filter(pk__lt=before)
        rows = list(older.order_by("-pk")[: size + 1])
        has_newer, has_older = before is not None, len(rows) > size
        rows = rows[:size]
    return KeysetPage(
        rows=rows,
        newer_query=_query(request, _AFTER, rows[0].pk) if rows and has_newer else "",
        older_query=_query(request, _BEFORE, rows[-1].pk) if rows and has_older else "",
    )


def first_index(request: HttpRequest) -> int:
    """Index of the first row to show, as the address says (`?start=`); 0 for no number."""
    value = request.GET.get("start", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else 0


def _cursor(request: HttpRequest, name: str) -> int | None:
    value = request.GET.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def _query(request: HttpRequest, name: str, cursor: int) -> str:
    query = request.GET.copy()
    query.pop(_BEFORE, None)
    query.pop(_AFTER, None)
    query[name] = str(cursor)
    return f"?{query.urlencode()}"
