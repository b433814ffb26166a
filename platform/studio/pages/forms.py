"""What every form of the platform shares."""

import uuid

from django import forms
from django.core.exceptions import ValidationError
from django.forms.renderers import TemplatesSetting
from django.utils.translation import gettext as _

from studio.pages.text import control_character


class FormRenderer(TemplatesSetting):
    """`{{ form }}` has an error summary with links, and errors and help tied to their fields."""

    form_template_name = "_form.html"
    field_template_name = "_field.html"


class CheckedTextMixin(forms.BaseForm):
    """A text with a control character is an error of its field; every form has this base.

    Django refuses only NUL. Line ends are allowed where a person can type them.
    """

    def full_clean(self) -> None:
        for field in self.fields.values():
            if isinstance(field, forms.CharField):
                is_one_line = not isinstance(field.widget, forms.Textarea)
                check = _refuse_controls_and_line_ends if is_one_line else _refuse_controls
                if check not in field.validators:
                    field.validators.append(check)
        super().full_clean()


class KeyForm(CheckedTextMixin, forms.Form):
    """What a button sends that starts something: the key that makes a second click harmless."""

    idempotency_key = forms.CharField(max_length=100, required=False)


def _refuse_controls(text: str) -> None:
    if found := control_character(text):
        raise ValidationError(
            _("The control character %(character)s cannot be part of a text; remove it."),
            code="control_character",
            params={"character": found},
        )


def _refuse_controls_and_line_ends(text: str) -> None:
    _refuse_controls(text)
    if "\n" in text or "\r" in text:
        raise ValidationError(_("This is one line; remove the line ends."), code="line_end")


def new_key() -> str:
    """A value that makes a form sent twice count once."""
    return str(uuid.uuid4())
