"""Language and theme: with the account, and in cookies for pages before sign-in."""

from django.conf import settings
from django.http.response import HttpResponseBase

from studio.accounts.models import Theme

THEME_COOKIE = "theme"
_SECONDS = 365 * 24 * 60 * 60


def remember_preferences(
    response: HttpResponseBase, *, language: str = "", theme: str = ""
) -> list[str]:
    """The valid ones among the two are in cookies; their names are returned."""
    remembered = []
    if language in dict(settings.LANGUAGES):
        _set_cookie(response, settings.LANGUAGE_COOKIE_NAME, language)
        remembered.append("language")
    if theme in Theme.values:
        _set_cookie(response, THEME_COOKIE, theme)
        remembered.append("theme")
    return remembered


def _set_cookie(response: HttpResponseBase, name: str, value: str) -> None:
    response.set_cookie(
        name,
        value,
        max_age=_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
