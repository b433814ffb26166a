"""Requests whose text nothing can hold are turned away before anything reads them."""

import codecs
import logging
from collections.abc import Callable, Iterable, Iterator
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.http import parse_header_parameters

from studio.pages.errors import bad_request, page_not_found
from studio.pages.text import control_character

logger = logging.getLogger(__name__)


class RequestTextMiddleware:
    """No view, and no other middleware, meets a control character outside a form's fields.

    In the address the page does not exist (404); in the query, a cookie or a header, or in a body
    that is written in another encoding than UTF-8, the request is bad (400). What a form's field
    holds is judged by the form (`studio.pages.forms.CheckedTextMixin`), which says so at the field.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if control_character(request.path_info):
            refuse, reason = page_not_found, "a control character in the address"
        elif not _is_utf8(request):
            refuse, reason = bad_request, "text in another encoding than UTF-8"
        elif found := next(filter(None, map(control_character, _texts(request))), ""):
            refuse, reason = bad_request, f"the control character {found}"
        else:
            return self._get_response(request)
        logger.warning("refused: %s path=%r", reason, request.path_info)
        # No middleware has chosen the language yet.
        with translation.override(translation.get_language_from_request(request)):
            return refuse(request, BadRequest(reason))


def _is_utf8(request: HttpRequest) -> bool:
    """Others can write what UTF-8 cannot, such as halves of surrogate pairs."""
    charset = (request.content_params or {}).get("charset", "utf-8")
    try:
        return codecs.lookup(charset).name == "utf-8"
    except (LookupError, ValueError):
        return False


def _texts(request: HttpRequest) -> Iterator[str]:
    for name, values in request.GET.lists():
        yield name
        yield from values
    for name, value in request.COOKIES.items():
        yield name
        yield value
    for name, value in request.META.items():
        if isinstance(value, str) and (name.startswith("HTTP_") or name == "CONTENT_TYPE"):
            # The server gives bytes, one in each character; a proxy may write UTF-8 into a header.
            yield value.encode("latin-1", "replace").decode(errors="replace")


def only_text_encodings(application: WSGIApplication) -> WSGIApplication:
    """`application` without requests whose body claims a codec that is none of text, such as `hex`.

    Django decodes the query by it while it makes the request, where no middleware can help.
    """

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        _type, parameters = parse_header_parameters(environ.get("CONTENT_TYPE", ""))
        try:
            b"a".decode(parameters.get("charset", "utf-8"), "replace")
        except (LookupError, UnicodeError, ValueError):
            start_response("400 Bad Request", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"The body is in no text encoding.\n"]
        return application(environ, start_response)

    return guarded
