from typing import ClassVar

from django.apps import AppConfig
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class StorageConfig(AppConfig):
    name = "studio.storage"
    label = "storage"
    audit_actions: ClassVar[dict[str, Promise]] = {
        "storage.sweep": _("removed files of the run that nothing needs"),
    }
