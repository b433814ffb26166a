from typing import ClassVar

from django.apps import AppConfig
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class RevisionsConfig(AppConfig):
    name = "studio.revisions"
    label = "revisions"
    audit_actions: ClassVar[dict[str, Promise]] = {
        "dataset.revise": _("started making a version of another"),
        "dataset.tag": _("tagged a data set version"),
        "dataset.untag": _("took a tag off a data set version"),
        "dataset.remark": _("remarked on a data set version"),
    }
