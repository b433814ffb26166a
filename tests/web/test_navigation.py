"""Every page of a project lies under one entry of the navigation: a person sees where it is."""

import pytest
from django.urls import URLResolver, get_resolver
from django.urls.resolvers import URLPattern

from studio.home.frame import _ENTRIES, _SECTIONS

UNDER_PROJECT = "p/<slug:project>/"


def namespaces() -> set[str]:
    """Of all pages of projects; `home` is the page of the project itself."""
    found = set()
    for included in get_resolver().url_patterns:
        if isinstance(included, URLResolver) and str(included.pattern).startswith(UNDER_PROJECT):
            assert all(isinstance(page, URLPattern) for page in included.url_patterns)
            found.add(included.namespace)
    return found


@pytest.mark.parametrize("namespace", sorted(namespaces()))
def test_pages_have_an_entry_or_the_one_they_are_reached_from(namespace: str) -> None:
    entries = {name for name, page, *_rest in _ENTRIES if page == "index"}
    assert _SECTIONS.get(namespace, namespace) in entries
