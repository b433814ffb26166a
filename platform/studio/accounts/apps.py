from typing import ClassVar

from django.apps import AppConfig
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "studio.accounts"
    label = "accounts"
    audit_actions: ClassVar[dict[str, Promise]] = {
        "project.create": _("created the project"),
        "membership.invite": _("made an invitation link"),
        "membership.revoke_invite": _("withdrew an invitation link"),
        "membership.join": _("joined the project"),
        "membership.add": _("added a member"),
        "membership.set_role": _("changed a member's role"),
        "membership.remove": _("removed a member"),
        "user.create_admin": _("became the installation's administrator"),
        "user.sign_in": _("signed in"),
        "user.lock_out": _("was slowed down at the sign-in after repeated wrong passwords"),
        "user.disable": _("disabled an account"),
        "user.enable": _("enabled an account"),
        "user.request_reset": _("made a password reset link"),
        "user.reset_password": _("set a new password by a reset link"),
        "user.change_password": _("changed their password"),
    }
