"""Form fields for the values of a spec, with the names that people know."""

import json
from typing import Any, Literal, get_args, get_origin

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from studio.launch.labels import CHOICE_LABELS, EMPTY_MEANS, FIELD_LABELS


def field_label(path: str) -> str:
    """What the field at a dotted path is called; a row has its list's name."""
    name = field_name(path)
    label = FIELD_LABELS.get(_scoped(path)) or FIELD_LABELS.get(name)
    return str(label) if label else name.replace("_", " ")


def _scoped(path: str) -> str:
    """A field's name behind that of what it belongs to."""
    return ".".join(without_numbers(path).split(".")[-2:])


def scalar_field(
    path: str, annotation: Any, *, initial: Any, default: Any, is_required: bool
) -> forms.Field:
    hint = (
        path
        if default in (None, "")
        else _("%(path)s; default %(default)s")
        % {
            "path": path,
            "default": default,
        }
    )
    if (meaning := EMPTY_MEANS.get(_scoped(path))) is not None:
        hint = _with_meaning(path, meaning)
    common = {
        "label": field_label(path),
        "help_text": hint,
        "initial": initial,
        "required": is_required,
    }
    if annotation is bool:
        return forms.BooleanField(**(common | {"required": False}))
    if get_origin(annotation) is Literal:
        values = [str(value) for value in get_args(annotation)]
        choices = [(value, CHOICE_LABELS.get(value, value)) for value in values]
        return forms.ChoiceField(choices=choices, **common)
    if annotation is int:
        return forms.IntegerField(**common)
    if annotation is float:
        # A plain text box: browsers' number boxes refuse 5e-5 in some languages.
        return forms.FloatField(widget=forms.TextInput(attrs={"inputmode": "decimal"}), **common)
    return forms.CharField(max_length=1000, **common)


def input_hint(path: str, *, has_choices: bool) -> str:
    """What stands below the choice of a model, an output or a data set."""
    if not has_choices:
        return _("%(path)s; there is none yet") % {"path": path}
    meaning = EMPTY_MEANS.get(_scoped(path))
    return path if meaning is None else _with_meaning(path, meaning)


def _with_meaning(path: str, meaning: Promise) -> str:
    return _("%(path)s; %(meaning)s") % {"path": path, "meaning": meaning}


def lines_field(path: str, text: str) -> forms.Field:
    return forms.CharField(
        label=field_label(path),
        required=False,
        initial=text,
        help_text=_("%(path)s; one a line") % {"path": path},
        widget=forms.Textarea(attrs={"rows": 3}),
    )


def scalar_value(text: str) -> str | int | bool:
    """The value of a row's field that a person wrote; quotes make a text of a number."""
    try:
        value = json.loads(text.strip())
    except json.JSONDecodeError:
        return text.strip()
    return value if isinstance(value, str | int | bool) else text.strip()


def field_name(path: str) -> str:
    return without_numbers(path).rpartition(".")[2]


def without_numbers(path: str) -> str:
    return ".".join(part for part in path.split(".") if not part.isdigit())
