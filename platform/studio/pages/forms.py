from django.forms.renderers import TemplatesSetting


class FormRenderer(TemplatesSetting):
    """`{{ form }}` has an error summary with links, and errors and help tied to their fields."""

    form_template_name = "_form.html"
    field_template_name = "_field.html"
