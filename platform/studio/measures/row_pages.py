"""Pages of sample rows by item id: page 400 costs what page 1 costs, and a link stays valid."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest

from studio.pages.addresses import query_with

PAGE_SIZE = 50
MAX_EXCERPT = 160


@dataclass(frozen=True, kw_only=True, slots=True)
class RowPage:
    """A run of consecutive ids and the query strings of the pages around it ("" where none is)."""

    item_ids: Sequence[str]
    first: int
    """Position of the first row, from 1."""
    total: int
    before_query: str
    after_query: str

    @property
    def last(self) -> int:
        return self.first + len(self.item_ids) - 1


def row_page(item_ids: Sequence[str], request: HttpRequest, *, size: int = PAGE_SIZE) -> RowPage:
    """The page behind the request's `after` or before its `before`; the first without either.

    An id that is not in the list (another filter, a link cut off) starts at the first page.
    """
    start = 0
    positions = {item_id: index for index, item_id in enumerate(item_ids)}
    if (after := positions.get(request.GET.get("after", ""))) is not None:
        start = after + 1
    elif (before := positions.get(request.GET.get("before", ""))) is not None:
        start = max(0, before - size)
    shown = item_ids[start : start + size]
    has_more = start + len(shown) < len(item_ids)
    return RowPage(
        item_ids=shown,
        first=start + 1,
        total=len(item_ids),
        before_query=query_with(request, before=shown[0], after=None) if start and shown else "",
        after_query=query_with(request, after=shown[-1], before=None) if has_more else "",
    )


def excerpt(text: str | None) -> str:
    """The beginning of a text for a list; the whole is on the item's own page."""
    flat = " ".join((text or "").split())
    return flat if len(flat) <= MAX_EXCERPT else flat[:MAX_EXCERPT] + "\N{HORIZONTAL ELLIPSIS}"


def html_lang(lang: str | None) -> str:
    """The `lang` attribute for a row's texts; "" keeps the page's."""
    return {"zh": "zh-Hans", "en": "en"}.get(lang or "", "")
