"""What a column of an uploaded file can mean, in words for people."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from studio.datasets.models import DatasetKind

_EXCHANGE_FIELDS = {
    "instruction": _("question or instruction"),
    "input": _("material the question rests on"),
    "output": _("answer"),
}
_CONTEXT_FIELDS = {
    "system": _("system prompt"),
    "history": _("earlier questions and answers (JSON)"),
    "messages": _("all turns (JSON)"),
}
_OWN_FIELDS: Mapping[str, Mapping[str, str | Promise]] = {
    DatasetKind.CORPUS: {"text": _("text"), "title": _("title")},
    DatasetKind.CONVERSATIONS: {**_EXCHANGE_FIELDS, **_CONTEXT_FIELDS},
    DatasetKind.DOMAIN_TEST: {**_EXCHANGE_FIELDS, **_CONTEXT_FIELDS},
    DatasetKind.MULTIPLE_CHOICE: {
        "question": _("question or instruction"),
        **{letter: _("choice %(letter)s") for letter in "ABCDEFGH"},
        "choices": _("all choices in one cell"),
        "answer": _("right choice (letter, number or text)"),
    },
}
_COMMON_FIELDS = {
    "id": _("identifier"),
    "lang": _("language (zh or en)"),
    "source": _("source"),
    "license": _("licence"),
}

_STORED_FIELDS = {
    "messages": _("turns"),
    "system": _("system prompt"),
    "choices": _("choices"),
    "history": _("earlier questions and answers"),
}
"""Made of several columns."""


def field_choices(kind: str) -> list[tuple[str, str]]:
    """(field, words) a column of this kind of data can be mapped to."""
    fields = {**_OWN_FIELDS[kind], **_COMMON_FIELDS}
    return [(name, str(label) % {"letter": name}) for name, label in fields.items()]


def field_label(field: str, kind: str) -> str:
    """A field in the reader's words: those of `field_choices`, or the name of additional
    information as its author wrote it."""
    if field.startswith("meta."):
        return gettext("additional information: %(name)s") % {"name": field.removeprefix("meta.")}
    known = {**_OWN_FIELDS[kind], **_COMMON_FIELDS, **_STORED_FIELDS}.get(field, field)
    return str(known) % {"letter": field}
