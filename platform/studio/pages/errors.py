"""Pages for requests that went wrong, in the visitor's language."""

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import get_random_string

logger = logging.getLogger(__name__)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: also for what exists in projects the visitor does not belong to."""
    return render(request, "404.html", status=404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: the form was too old, or came from another site."""
    logger.warning("csrf check failed: %s path=%s", reason, request.path)
    return render(request, "403_csrf.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: carries a number that stands beside the traceback in the log."""
    reference = get_random_string(8, "23456789abcdefghjkmnpqrstuvwxyz")
    logger.error("server error reference=%s path=%s", reference, request.path)
    return render(request, "500.html", {"reference": reference}, status=500)
