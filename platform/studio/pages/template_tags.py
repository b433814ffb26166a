"""Tags and filters that every template can use without loading them."""

from typing import TypedDict

from django import forms, template
from django.forms.boundfield import BoundField
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

register = template.Library()

_ICONS = "vendor/tabler-icons-3.51.0-subset.svg"

# state -> (word, colour class, icon); the word carries the meaning, the rest helps the eye.
_STATES = {
    "queued": (_("queued"), "secondary", "clock"),
    "starting": (_("starting"), "info", "loader"),
    "running": (_("running"), "info", "player-play"),
    "cancelling": (_("cancelling"), "warning", "hand-stop"),
    "succeeded": (_("succeeded"), "success", "check"),
    "failed": (_("failed"), "danger", "x"),
    "cancelled": (_("cancelled"), "secondary", "hand-stop"),
    "stopped": (_("stopped"), "secondary", "hand-stop"),
    "lost": (_("lost"), "warning", "alert-triangle"),
    "waiting": (_("waiting"), "secondary", "clock"),
    "active": (_("active"), "success", "check"),
    "disabled": (_("disabled"), "secondary", "lock"),
}

_WIDGET_CLASSES: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.CheckboxInput, "form-check-input"),
    (forms.CheckboxSelectMultiple, "form-check-input"),
    (forms.RadioSelect, "form-check-input"),
    (forms.Select, "form-select"),
    (forms.Widget, "form-control"),
)


class Badge(TypedDict):
    word: str
    tone: str
    icon: str


@register.simple_tag
def icon(name: str) -> SafeString:
    """A picture beside a word; screen readers hear only the word."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static(_ICONS),
        name,
    )


@register.inclusion_tag("_state_badge.html")
def state_badge(state: str) -> Badge:
    """A state as word, icon and colour."""
    word, tone, icon = _STATES[str(state)]
    return {"word": str(word), "tone": tone, "icon": icon}


@register.filter
def styled(field: BoundField) -> SafeString:
    """The field's widget with the style sheet's class, and marked when it has errors."""
    kinds = _WIDGET_CLASSES
    css = next(css for kind, css in kinds if isinstance(field.field.widget, kind))
    own = field.field.widget.attrs.get("class", "")
    invalid = "is-invalid" if field.errors else ""
    return field.as_widget(attrs={"class": " ".join(filter(None, (css, own, invalid)))})


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """Whether the label belongs after the widget."""
    return isinstance(field.field.widget, forms.CheckboxInput)
