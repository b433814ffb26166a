"""A spec form as nested groups of bound fields, in the order of the spec."""

from dataclasses import dataclass

from django import forms
from django.forms.boundfield import BoundField
from django.utils.translation import gettext as _

from studio.launch.parts import Dataset, Group


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldGroup:
    """A heading with the fields and groups below it."""

    title: str
    fields: tuple[BoundField, ...]
    groups: tuple["FieldGroup", ...]
    is_optional: bool = False
    is_row_settings: bool = False
    """Which rows of a data set to use: folded away until somebody wants it."""
    is_open: bool = False


def field_groups(form: forms.Form, group: Group) -> FieldGroup:
    """The group and everything below it."""
    fields: list[BoundField] = []
    groups: list[FieldGroup] = []
    for part in group.parts:
        if isinstance(part, Dataset):
            fields.append(form[part.path])
            groups.append(_row_settings(form, part))
        elif isinstance(part, Group):
            groups.append(field_groups(form, part))
        else:
            fields.append(form[part.path])
    return FieldGroup(
        title=group.title,
        fields=tuple(fields),
        groups=tuple(groups),
        is_optional=group.is_optional,
    )


def _row_settings(form: forms.Form, part: Dataset) -> FieldGroup:
    fields = tuple(form[name] for inner in part.parts[1:] for name, _field in inner.form_fields())
    return FieldGroup(
        title=_("%(name)s: rows to use") % {"name": part.title or part.label},
        fields=fields,
        groups=(),
        is_row_settings=True,
        is_open=any(_is_set(field) for field in fields),
    )


def _is_set(field: BoundField) -> bool:
    return bool(field.errors) or (field.value() not in (None, "", "keep"))
