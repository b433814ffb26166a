"""Which questions count, by whether training may have seen the document they rest on."""

from collections.abc import Mapping

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Documents(models.TextChoices):
    """A choice of questions."""

    ALL = "all"
    SEEN = "seen"
    UNSEEN = "unseen"


DOCUMENT_LABELS: Mapping[str, Promise] = {
    Documents.ALL: _("all documents"),
    Documents.SEEN: _("documents training may have seen"),
    Documents.UNSEEN: _("documents kept out of training"),
}
