"""Forms that start runs and plans."""

import json
import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from pipeline.contracts.documents import SpecDocument, read_run_spec
from pipeline.contracts.kinds import RUN_SPECS, RunSpec
from pipeline.errors import SpecError
from studio.launch.choices import ProjectChoices
from studio.launch.part_builder import PartBuilder
from studio.launch.parts import MISSING
from studio.launch.problems import field_of, spec_problems
from studio.pages.forms import CheckedTextMixin, new_key


class SpecForm(CheckedTextMixin, forms.Form):
    """The spec of one kind as fields, made from its model.

    Valid means that the spec is. What the contract refuses stands at the field that can mend it.
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
        self._kind = kind
        self.root = PartBuilder(choices).model(RUN_SPECS[kind], "", initial_document or {})
        self.fields.update(dict(self.root.form_fields()))
        self._locations: dict[str, str] = {}
        self._spec: SpecDocument[RunSpec] | None = None

    @property
    def spec(self) -> SpecDocument[RunSpec]:
        """What the filled form asks for, once it is valid."""
        assert self._spec is not None  # noqa: S101 (the caller has asked whether it is valid)
        return self._spec

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        found = self.root.read(cleaned, "", self._locations)
        assert found is not MISSING  # noqa: S101 (only an optional group can be missing)
        try:
            self._spec = read_run_spec(json.dumps(found | {"kind": self._kind}))
        except SpecError as error:
            for path, message in spec_problems(error):
                self._add_problem(path, message)
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


class DocumentForm(CheckedTextMixin, forms.Form):
    """A whole spec as JSON, for those who have one."""

    document = forms.CharField(
        label=gettext_lazy("Specification (JSON)"),
        help_text=gettext_lazy(
            "Name what it reads by object, never by path: {"
            '"object": "version:12"} for a data set version, "checkpoint:3", "run:ID:samples", '
            '"upload:ID", "base:NAME".'
        ),
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}),
        max_length=500_000,
    )
    document_key = forms.CharField(max_length=100, widget=forms.HiddenInput, initial=new_key)


class MethodForm(CheckedTextMixin, forms.Form):
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
        self._bases = {choice.token: choice for choice in choices.bases()}
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
