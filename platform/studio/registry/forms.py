"""The form that imports a model."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from studio.pages.forms import CheckedTextMixin
from studio.registry.candidates import Candidate


class ImportForm(CheckedTextMixin, forms.Form):
    """Which model, and what it is to be called."""

    model = forms.ChoiceField(label=_("Model"))
    name = forms.CharField(
        label=_("Name"),
        max_length=200,
        required=False,
        help_text=_("Empty: the name of the folder or file."),
    )
    license_note = forms.CharField(
        label=_("Licence"),
        max_length=500,
        required=False,
        help_text=_("Under which terms the model may be used, and where they stand."),
    )

    def __init__(self, *args: Any, candidates: Sequence[Candidate], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._candidates = {candidate.token: candidate for candidate in candidates}
        field = self.fields["model"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 (declared above)
        field.choices = [(token, one.label) for token, one in self._candidates.items()]

    @property
    def candidate(self) -> Candidate:
        """The chosen model, once the form is valid."""
        return self._candidates[self.cleaned_data["model"]]

    @property
    def checkpoint_name(self) -> str:
        """What the checkpoint will be called."""
        given: str = self.cleaned_data["name"].strip()
        return given or self.candidate.path.name
