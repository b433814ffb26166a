"""A request whose body the disk had no room for is answered as that, and not as an empty form."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from studio.pages.errors import insufficient_storage

BODY_DROPPED = "studio.body_dropped"
"""Set in the WSGI environment by our web server; no header of a client can set it."""


class DroppedBodyMiddleware:
    """Stands behind what the page about a full disk shows: language and user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.META.get(BODY_DROPPED):
            return insufficient_storage(request)
        return self.get_response(request)
