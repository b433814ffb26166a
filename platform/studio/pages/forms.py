"""What every form of the platform shares."""

import uuid

from django.forms.renderers import TemplatesSetting


class FormRenderer(TemplatesSetting):
    """`{{ form }}` has an error summary with links, and errors and help tied to their fields."""

    form_template_name = "_form.html"
    field_template_name = "_field.html"


def new_key() -> str:
    """A value that makes a form sent twice count once."""
    return str(uuid.uuid4())
