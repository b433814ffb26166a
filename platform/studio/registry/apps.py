from typing import ClassVar

from django.apps import AppConfig
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class RegistryConfig(AppConfig):
    name = "studio.registry"
    label = "registry"
    audit_actions: ClassVar[dict[str, Promise]] = {
        "checkpoint.import": _("started importing a model"),
        "checkpoint.register": _("registered a checkpoint"),
        "checkpoint.delete": _("deleted a checkpoint"),
    }
