from typing import ClassVar

from django.apps import AppConfig
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class RunsConfig(AppConfig):
    name = "studio.runs"
    label = "runs"
    audit_actions: ClassVar[dict[str, Promise]] = {
        "run.create": _("started the run"),
        "run.cancel": _("cancelled the run"),
        "run.right_ended": _("kept the run from starting: the right of its starter had ended"),
        "run.resume": _("resumed the run"),
        "plan.create": _("started the plan"),
        "plan.restart": _("restarted the plan"),
    }
