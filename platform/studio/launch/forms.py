"""Forms that start runs and plans."""

import json
import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy
from pydantic import ValidationError

from pipeline.contracts.codec import canonical_json
from pipeline.contracts.kinds import RUN_SPECS
from pipeline.errors import SpecError
from studio.launch.choices import ProjectChoices
from studio.launch.part_builder import PartBuilder
from studio.launch.parts import MISSING
from studio.launch.problems import field_of, spec_problems
from studio.pages.forms import new_key


class SpecForm(forms.Form):
    """The spec of one kind as fields, made from its model.

    Valid means that the spec is: `document` then holds its canonical JSON. What the contract
    refuses stands at the field that can mend it.
    """

    idempotency_key = forms.CharField(max_length=100, widget=forms.HiddenInput, initial=new_key)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        kind: str,
        choices: ProjectChoices,
        initial_document: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data)
        self._model = RUN_SPECS[kind]
        self.root = PartBuilder(choices).model(self._model, "", initial_document or {})
        self.fields.update(dict(self.root.form_fields()))
        self._locations: dict[str, str] = {}
        self.document = ""

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        found = self.root.read(cleaned, "", self._locations)
        assert found is not MISSING  # noqa: S101 (only an optional group can be missing)
        found["kind"] = self._model.model_fields["kind"].default
        try:
            spec = self._model.model_validate_json(json.dumps(found))
        except ValidationError as error:
            for path, message in spec_problems(error):
                self._add_problem(path, message)
        else:
            self.document = canonical_json(spec).decode()
        return cleaned

    def add_spec_error(self, error: SpecError) -> None:
        """What the service refused stands at the input it names first."""
        path = re.split("[:\N{FULLWIDTH COLON}]", str(error), maxsplit=1)[0]
        self._add_problem(path if " " not in path else "", str(error))

    def _add_problem(self, path: str, message: str) -> None:
        name = field_of(path, self._locations)
        if name is None:
            self.add_error(None, f"{path}: {message}" if path else message)
        elif name not in self.errors:  # a field that could not be read is also "missing"
            self.add_error(name, message)


class DocumentForm(forms.Form):
    """A whole spec as JSON, for those who have one."""

    document = forms.CharField(
        label=gettext_lazy("Specification (JSON)"),
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}),
        max_length=500_000,
    )
    document_key = forms.CharField(max_length=100, widget=forms.HiddenInput, initial=new_key)


class MethodForm(forms.Form):
    """What the whole method needs to become a plan."""

    base = forms.ChoiceField(
        label=gettext_lazy("Base model"),
        help_text=gettext_lazy("Everything is trained from it and measured against it."),
    )
    lang = forms.ChoiceField(
        label=gettext_lazy("Language of the data"),
        choices=(("zh", gettext_lazy("Chinese")), ("en", gettext_lazy("English"))),
        help_text=gettext_lazy("The base model has to speak it."),
    )
    idempotency_key = forms.CharField(max_length=100, widget=forms.HiddenInput, initial=new_key)

    def __init__(self, data: Mapping[str, Any] | None = None, *, choices: ProjectChoices) -> None:
        super().__init__(data)
        self._bases = {choice.token: choice for choice in choices.outputs("model")}
        field = self.fields["base"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 (declared above)
        field.choices = [(choice.token, choice.label) for choice in self._bases.values()]

    @property
    def has_bases(self) -> bool:
        """Whether there is anything to start from."""
        return bool(self._bases)

    @property
    def base_path(self) -> str:
        """Directory of the chosen model."""
        return str(self._bases[self.cleaned_data["base"]].path)
