from typing import ClassVar

from django.apps import AppConfig
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class QualityConfig(AppConfig):
    name = "studio.quality"
    label = "quality"
    audit_actions: ClassVar[dict[str, Promise]] = {
        "quality.check": _("started a check of a data set version"),
        "quality.clean": _("started the cleaning of a data set version"),
        "quality.publish": _("published a cleaned data set version"),
        "quality.preview": _("started a token preview"),
    }
