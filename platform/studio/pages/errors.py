"""Pages for requests that went wrong, in the visitor's language."""

import logging
import sqlite3
import sys

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.crypto import get_random_string

from pipeline.errors import causes, is_disk_full

logger = logging.getLogger(__name__)

INSUFFICIENT_STORAGE = 507
POSTGRESQL_DISK_FULL = "53100"
# Without space SQLite cannot grow its shared memory file either, and calls that an I/O error.
_SQLITE_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: the request is not one that our pages send."""
    return render(request, "400.html", status=400)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: also for what exists in projects the visitor does not belong to."""
    return render(request, "404.html", status=404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: the form was too old, or came from another site."""
    logger.warning("csrf check failed: %s path=%s", reason, request.path)
    return render(request, "403_csrf.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: carries a number that stands beside the traceback in the log; 507: the disk is full."""
    error = sys.exc_info()[1]
    if error is not None and is_storage_full(error):
        return insufficient_storage(request)
    reference = get_random_string(8, "23456789abcdefghjkmnpqrstuvwxyz")
    logger.error("server error reference=%s path=%s", reference, request.path)
    return render(request, "500.html", {"reference": reference}, status=500)


def insufficient_storage(request: HttpRequest) -> HttpResponse:
    """507: no space is left where files or the database are; nothing was changed."""
    logger.error("the disk is full path=%s", request.path)
    try:
        return render(request, "507.html", status=INSUFFICIENT_STORAGE)
    except Exception:
        # The frame around a page reads the session, which the full disk may not allow.
        logger.exception("the page about a full disk is shown without its frame")
        content = render_to_string("507_bare.html")
        return HttpResponse(content, status=INSUFFICIENT_STORAGE)


def is_storage_full(error: BaseException) -> bool:
    """Whether `error` goes back to a disk without space, under the files or under the database."""
    return is_disk_full(error) or any(
        getattr(cause, "sqlite_errorcode", None) in _SQLITE_FULL
        or getattr(cause, "sqlstate", None) == POSTGRESQL_DISK_FULL
        for cause in causes(error)
    )
