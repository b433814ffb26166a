"""Parts of pages that are asked for again and again (`static/js/poll.js`)."""

from django.http import HttpResponse


def polled(response: HttpResponse, *, has_ended: bool) -> HttpResponse:
    """The response; where what it shows has ended, the whole page is loaded again."""
    if has_ended:
        response["X-Poll-Reload"] = "1"
    return response
