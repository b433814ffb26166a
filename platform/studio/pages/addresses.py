"""Addresses of pages whose state is their query string."""

from collections.abc import Sequence
from typing import TypeVar

from django.http import HttpRequest
from django.urls import reverse

ChoiceT = TypeVar("ChoiceT", bound=str)


def page_url(name: str, project_slug: str, query: str) -> str:
    """Address of a page of the project with a query string."""
    url = reverse(name, args=[project_slug])
    return f"{url}?{query}" if query else url


def query_with(request: HttpRequest, **changes: str | list[str] | None) -> str:
    """The request's query string with some values replaced; None or "" removes one."""
    query = request.GET.copy()
    for name, value in changes.items():
        if not value:
            query.pop(name, None)
        else:
            query.setlist(name, [value] if isinstance(value, str) else value)
    return query.urlencode()


def chosen(value: str, allowed: Sequence[ChoiceT]) -> ChoiceT:
    """`value` if it is allowed, else the first that is: an old link still opens."""
    return next((one for one in allowed if one == value), allowed[0])
