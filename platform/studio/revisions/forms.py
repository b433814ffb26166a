"""Forms that change rows and say something of versions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.contracts.dataset_revisions import MapValue
from studio.datasets.fields import field_choices
from studio.pages.forms import CheckedTextMixin, new_key
from studio.revisions.row_parts import changed_row, row_parts

SAME_ID = (
    ("refuse", gettext_lazy("Add nothing, and say which")),
    ("replace", gettext_lazy("Put the added row in the place of the one that is there")),
    ("skip", gettext_lazy("Keep the row that is there, and leave the added one out")),
)


def _reason(*, is_required: bool) -> forms.CharField:
    return forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        required=is_required,
        help_text=gettext_lazy("Stays with the version, so that others understand the change."),
    )


def _text_field(label: str, value: str, *, is_required: bool = False) -> forms.CharField:
    rows = max(1, min(12, value.count("\n") + len(value) // 80 + 1))
    return forms.CharField(
        label=label,
        initial=value,
        required=is_required,
        strip=False,
        widget=forms.Textarea(attrs={"rows": rows, "dir": "auto"}),
    )


def _as_written(sent: str, before: str) -> str:
    """Browsers send every line end as CR LF: a text that was not touched stays what it was."""
    lines = sent.replace("\r\n", "\n").replace("\r", "\n")
    if lines == before.replace("\r\n", "\n").replace("\r", "\n"):
        return before
    return lines.replace("\n", "\r\n") if "\r\n" in before else lines


class RowForm(CheckedTextMixin, forms.Form):
    """The texts of one row; whatever else the row has stays as it is."""

    reason = _reason(is_required=False)

    def __init__(self, *args: Any, kind: str, row: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._row = dict(row)
        self._parts = row_parts(row, kind)
        reason = self.fields.pop("reason")
        for name, part in self._parts.items():
            if part.choices:
                self.fields[name] = forms.ChoiceField(
                    label=part.label, choices=part.choices, initial=part.value
                )
            else:
                self.fields[name] = _text_field(
                    part.label, part.value, is_required=part.is_required
                )
        self.fields["reason"] = reason

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and self.changed_row() == self._row:
            raise ValidationError(_("Nothing was changed."), code="unchanged")
        return cleaned

    def changed_row(self) -> dict[str, Any]:
        """The row with what was sent."""
        sent = {
            name: _as_written(self.cleaned_data[name], part.value)
            for name, part in self._parts.items()
        }
        return changed_row(self._row, sent)


class CellsForm(CheckedTextMixin, forms.Form):
    """The cells of a row of a table that was rejected."""

    reason = _reason(is_required=False)

    def __init__(
        self, *args: Any, kind: str, columns: Sequence[tuple[str, str, str]], **kwargs: Any
    ) -> None:
        """`columns` are the name in the file, the field and the cell of each that is read."""
        super().__init__(*args, **kwargs)
        self._columns = columns
        labels = dict(field_choices(kind))
        reason = self.fields.pop("reason")
        for number, (name, field, cell) in enumerate(columns):
            words = labels.get(field, "")
            label = f"{name} ({words})" if words and words != name else name or field
            self.fields[f"cell_{number}"] = _text_field(label, cell)
        self.fields["reason"] = reason

    def cells(self) -> dict[str, str]:
        """Field -> text, as they are to be read."""
        return {
            field: _as_written(self.cleaned_data[f"cell_{number}"], cell)
            for number, (_name, field, cell) in enumerate(self._columns)
        }


class TextForm(CheckedTextMixin, forms.Form):
    """A rejected row that is no row of a table: its text, one JSON object."""

    text = forms.CharField(
        label=gettext_lazy("The row, as one JSON object"),
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12, "dir": "auto", "spellcheck": "false"}),
    )
    reason = _reason(is_required=False)


class RemoveForm(CheckedTextMixin, forms.Form):
    """Why a row is taken out."""

    reason = _reason(is_required=True)


class MapValueForm(CheckedTextMixin, forms.Form):
    """One value of a field is to become another, in every row."""

    which = forms.ChoiceField(label=gettext_lazy("Old value"))
    to = forms.CharField(label=gettext_lazy("New value"), max_length=1_000, strip=False)

    def __init__(self, *args: Any, counts: Mapping[str, Mapping[str, int]], **kwargs: Any) -> None:
        """`counts` are rows by field and value, as the manifest has them."""
        super().__init__(*args, **kwargs)
        groups = [
            (
                field,
                [
                    (json.dumps([field, value]), f"{field}: {value or '-'} ({number:,})")
                    for value, number in values.items()
                ],
            )
            for field, values in counts.items()
        ]
        which = self.fields["which"]
        if isinstance(which, forms.ChoiceField):
            which.choices = groups

    def change(self) -> MapValue:
        """What is to be done, once the form is valid."""
        field, value = json.loads(self.cleaned_data["which"])
        return MapValue(field=field, value=value, to=self.cleaned_data["to"])


class ApplyForm(CheckedTextMixin, forms.Form):
    """Why the version is made."""

    reason = _reason(is_required=True)


class AppendForm(CheckedTextMixin, forms.Form):
    """Which version gets more rows, and what becomes of those whose id it has."""

    idempotency_key = forms.CharField(
        max_length=100, required=False, widget=forms.HiddenInput, initial=new_key
    )
    version = forms.TypedChoiceField(label=gettext_lazy("Add to"), coerce=int)
    same_id = forms.ChoiceField(
        label=gettext_lazy("When a row has an id that is there already"),
        choices=SAME_ID,
        initial="refuse",
        widget=forms.RadioSelect,
    )
    reason = _reason(is_required=False)

    def __init__(self, *args: Any, versions: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["version"]
        if isinstance(field, forms.TypedChoiceField):
            field.choices = [(version.pk, str(version)) for version in versions]


class TagForm(CheckedTextMixin, forms.Form):
    name = forms.CharField(label=gettext_lazy("Tag"), max_length=40)


class RemarkForm(CheckedTextMixin, forms.Form):
    text = forms.CharField(
        label=gettext_lazy("Remark"), max_length=1_000, widget=forms.Textarea(attrs={"rows": 2})
    )


class CompareForm(CheckedTextMixin, forms.Form):
    """Two versions of a data set."""

    NOT_ALLOWED = gettext_lazy("Ask an expert or an engineer to compare these two first.")

    older = forms.TypedChoiceField(label=gettext_lazy("Earlier version"), coerce=int)
    newer = forms.TypedChoiceField(label=gettext_lazy("Later version"), coerce=int)

    def __init__(self, *args: Any, versions: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._versions = {version.pk: version for version in versions}
        choices = [(version.pk, f"v{version.number}") for version in versions]
        for name in ("older", "newer"):
            field = self.fields[name]
            if isinstance(field, forms.TypedChoiceField):
                field.choices = choices
        if len(choices) > 1:
            self.fields["older"].initial = choices[1][0]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and cleaned["older"] == cleaned["newer"]:
            raise ValidationError(_("Choose two different versions."), code="same")
        return cleaned

    def chosen(self) -> tuple[Any, Any]:
        """The two, the one with the lower number first."""
        chosen = [self._versions[self.cleaned_data[name]] for name in ("older", "newer")]
        older, newer = sorted(chosen, key=lambda version: version.number)
        return older, newer
