"""Forms of the accounts pages."""

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.forms import AuthenticationForm, SetPasswordMixin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from studio.accounts.models import Project, Role, User
from studio.accounts.sign_in import TooManyFailuresError, sign_in_attempt
from studio.accounts.visitors import known_device, visitor_of
from studio.pages.forms import CheckedTextMixin


class SignInForm(CheckedTextMixin, AuthenticationForm):
    """User name and password; after repeated failures each attempt has to wait."""

    request: HttpRequest

    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username", "")
        device = known_device(self.request, username)
        visitor = visitor_of(self.request)
        try:
            with sign_in_attempt(username=username, visitor=visitor, device=device):
                return super().clean()
        except TooManyFailuresError as error:
            raise ValidationError(
                ngettext(
                    "Too many wrong passwords. Try again in %(seconds)d second. A browser that has "
                    "signed in with this name before need not wait; an administrator can give you "
                    "a reset link.",
                    "Too many wrong passwords. Try again in %(seconds)d seconds. A browser that "
                    "has signed in with this name before need not wait; an administrator can give "
                    "you a reset link.",
                    error.seconds,
                )
                % {"seconds": error.seconds},
                code="locked_out",
            ) from error


class NewPasswordForm(CheckedTextMixin, SetPasswordMixin, forms.Form):  # type: ignore[type-arg]  # not subscriptable
    """A new password, twice."""

    password1, password2 = SetPasswordMixin.create_password_fields(
        label1=gettext_lazy("New password"), label2=gettext_lazy("New password again")
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean(self) -> dict[str, Any] | None:
        self.validate_passwords()
        self.validate_password_for_user(self.user)
        return super().clean()


class ChangePasswordForm(NewPasswordForm):
    """A new password for somebody who knows the old one."""

    old_password = forms.CharField(
        label=gettext_lazy("Current password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("old_password", "password1", "password2")

    def clean_old_password(self) -> str:
        old_password: str = self.cleaned_data["old_password"]
        if not self.user.check_password(old_password):
            raise ValidationError(_("This is not your current password."), code="wrong_password")
        return old_password


class NewAccountForm(NewPasswordForm):
    """A user name and a password, for whoever opened a set-up or invitation link."""

    username = forms.CharField(
        label=gettext_lazy("User name"),
        max_length=150,
        validators=[User.username_validator],
        help_text=gettext_lazy("Letters, digits and @ . + - _; Chinese is fine."),
        widget=forms.TextInput(attrs={"autocomplete": "username"}),
    )
    field_order = ("username", "password1", "password2")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(User(), *args, **kwargs)

    def clean_username(self) -> str:
        username: str = User.normalize_username(self.cleaned_data["username"])
        if User.objects.filter(username__iexact=username).exists():
            raise ValidationError(
                _("The user name %(username)s is taken: choose another one."),
                code="taken",
                params={"username": username},
            )
        self.user.username = username
        return username


class InviteForm(CheckedTextMixin, forms.Form):
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.choices)
    note = forms.CharField(
        label=gettext_lazy("For whom"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("Only a reminder for this list."),
    )


class RoleForm(CheckedTextMixin, forms.Form):
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.choices)


class ProjectForm(CheckedTextMixin, forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = Project
        fields = ("name", "slug")
        labels: ClassVar = {
            "name": gettext_lazy("Name"),
            "slug": gettext_lazy("Address"),
        }
        help_texts: ClassVar = {
            "slug": gettext_lazy("Latin letters, digits and hyphens; it cannot be changed later."),
        }
