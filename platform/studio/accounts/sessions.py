"""Sessions end when nobody has used them for a while, and leave nothing behind in a browser."""

import time
from collections.abc import Callable

from django.contrib.auth import logout
from django.http import HttpRequest
from django.http.response import HttpResponseBase

IDLE_SECONDS = 8 * 60 * 60
# Saving the session costs a write, so the time of the last use is kept to within five minutes.
RESOLUTION_SECONDS = 5 * 60
_SEEN_AT = "seen_at"


class IdleSignOutMiddleware:
    """Signs out whoever comes back after more than `IDLE_SECONDS`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            now = int(time.time())
            idle_seconds = now - request.session.get(_SEEN_AT, now - RESOLUTION_SECONDS)
            if idle_seconds > IDLE_SECONDS:
                logout(request)
            elif idle_seconds >= RESOLUTION_SECONDS:
                request.session[_SEEN_AT] = now
        return self.get_response(request)


class NoStoreMiddleware:
    """No browser or proxy keeps a page: after sign-out "back" shows nothing of it.

    For every answer that is made for a visitor, errors and downloads included, signed in or not:
    the form of a reset link is nobody else's either.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response["Cache-Control"] = "no-store"
        return response
