"""A form's parts, one class for each shape that a spec's field can have.

Every part adds fields named by their dotted path in the spec, and later reads its piece of the
document back. Rows that were left empty are skipped, so a part notes at which path of the document
each field ended up: validation speaks of the document, people see the form.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from django import forms
from django.utils.translation import gettext as _
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.contracts.references import DatasetRef, Reference
from studio.runs.forms_inputs import OUTPUT_NAMES, InputChoice, ProjectInputs
from studio.runs.forms_labels import CHOICE_LABELS, FIELD_LABELS

MISSING = object()
FIXED_FIELDS = frozenset({"schema_version", "kind"})
NUM_ROWS = {"sources": 3, "stages": 3, "drafts": 3, "heldout": 2, "datasets": 2, "where": 1}
Locations = dict[str, str]


@dataclass(kw_only=True)
class Part:
    """Something with a dotted path; `is_needed` when the document is wrong without it."""

    path: str
    is_needed: bool = False

    @property
    def label(self) -> str:
        return field_label(self.path)

    def form_fields(self) -> Iterator[tuple[str, forms.Field]]:
        """(name, field) of everything in the part."""
        raise NotImplementedError

    def is_filled(self, cleaned: Mapping[str, Any]) -> bool:
        """Whether the person gave something that has no default."""
        raise NotImplementedError

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        """The part's piece of the document, which stands at `at`; MISSING to leave it out."""
        raise NotImplementedError


@dataclass(kw_only=True)
class Scalar(Part):
    """One number, text, choice or tick."""

    field: forms.Field

    def form_fields(self) -> Iterator[tuple[str, forms.Field]]:
        yield self.path, self.field

    def is_filled(self, cleaned: Mapping[str, Any]) -> bool:
        return self.is_needed and cleaned.get(self.path) not in (None, "")

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        locations[at] = self.path
        value = cleaned.get(self.path)
        return MISSING if value in (None, "") else value


@dataclass(kw_only=True)
class Lines(Part):
    """Short texts, one a line."""

    field: forms.Field

    def form_fields(self) -> Iterator[tuple[str, forms.Field]]:
        yield self.path, self.field

    def is_filled(self, cleaned: Mapping[str, Any]) -> bool:
        return False

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        locations[at] = self.path
        return [line.strip() for line in cleaned.get(self.path, "").splitlines() if line.strip()]


@dataclass(kw_only=True)
class Input(Part):
    """A model, a stored output or a data set version: always chosen, never typed."""

    field: forms.Field
    choices: dict[str, InputChoice]

    def form_fields(self) -> Iterator[tuple[str, forms.Field]]:
        yield self.path, self.field

    def is_filled(self, cleaned: Mapping[str, Any]) -> bool:
        return bool(cleaned.get(self.path))

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        locations[at] = self.path
        token = cleaned.get(self.path)
        return self.choices[token].reference() if token else MISSING


@dataclass(kw_only=True)
class Group(Part):
    """Parts under one heading; in the document an object."""

    parts: list[Part] = field(default_factory=list)
    is_optional: bool = False
    title: str = ""
    is_group: bool = True

    def form_fields(self) -> Iterator[tuple[str, forms.Field]]:
        for part in self.parts:
            yield from part.form_fields()

    def is_filled(self, cleaned: Mapping[str, Any]) -> bool:
        return any(part.is_filled(cleaned) for part in self.parts)

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        if self.is_optional and not self.is_filled(cleaned):
            return MISSING
        found = {}
        for part in self.parts:
            name = part.path.rpartition(".")[2]
            value = part.read(cleaned, f"{at}.{name}" if at else name, locations)
            if value is not MISSING:
                found[name] = value
        return found


@dataclass(kw_only=True)
class Rows(Group):
    """The same part several times; in the document a list without the empty ones."""

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        filled = [part for part in self.parts if part.is_filled(cleaned)]
        if not filled and self.parts:
            locations[at] = next(iter(self.form_fields()))[0]
        return [part.read(cleaned, f"{at}.{index}", locations) for index, part in enumerate(filled)]


@dataclass(kw_only=True)
class Dataset(Group):
    """A data set version and which of its rows to use."""

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        chosen, *settings = self.parts
        reference = chosen.read(cleaned, at, locations)
        if reference is MISSING:
            return MISSING
        for part in settings:
            name = part.path.rpartition(".")[2]
            value = part.read(cleaned, f"{at}.{name}", locations)
            if value is not MISSING and value != []:
                reference[name] = value
        return reference


@dataclass(kw_only=True)
class Filter(Group):
    """Rows that are used or left out by the value of one of their fields."""

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        for name in ("field", "values", "keep"):
            locations[f"{at}.{name}"] = f"{self.path}.{name}"
        return {
            "field": cleaned.get(f"{self.path}.field", ""),
            "values": [
                _scalar(text) for text in cleaned.get(f"{self.path}.values", "").split(",") if text
            ],
            "keep": cleaned.get(f"{self.path}.keep") != "drop",
        }


class PartBuilder:
    """Makes the parts for a spec's model, filled with the values of `document`."""

    def __init__(self, inputs: ProjectInputs) -> None:
        self._inputs = inputs

    def model(
        self, model: type[BaseModel], path: str, values: Mapping[str, Any], *, in_row: bool = False
    ) -> Group:
        """The fields of a model, in the order in which it declares them."""
        parts = [
            self._field(info, f"{path}.{name}" if path else name, values.get(name), in_row=in_row)
            for name, info in model.model_fields.items()
            if name not in FIXED_FIELDS
        ]
        return Group(path=path, parts=parts, title=field_label(path) if path else "")

    def _field(self, info: FieldInfo, path: str, value: Any, *, in_row: bool) -> Part:
        annotation, is_optional = _without_none(info.annotation)
        is_needed = info.is_required()
        if get_origin(annotation) is tuple:
            item = get_args(annotation)[0]
            if isinstance(item, type) and issubclass(item, BaseModel):
                return self._rows(item, path, value or [])
            text = "\n".join(value or [])
            return Lines(path=path, field=_lines_field(path, text))
        if isinstance(annotation, type) and issubclass(annotation, DatasetRef):
            return self._dataset(annotation, path, value, is_required=is_needed and not in_row)
        if isinstance(annotation, type) and issubclass(annotation, Reference):
            choices = self._inputs.outputs(OUTPUT_NAMES.get(_name(path), "model"))
            return self._input(path, choices, value, is_required=is_needed and not in_row)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            group = self.model(annotation, path, value or {}, in_row=in_row or is_optional)
            group.is_optional = is_optional
            return group
        default = None if is_needed else info.get_default(call_default_factory=True)
        return Scalar(
            path=path,
            is_needed=is_needed,
            field=_scalar_field(
                path,
                annotation,
                initial=default if value is None else value,
                default=default,
                is_required=is_needed and not in_row,
            ),
        )

    def _rows(self, item: type[BaseModel], path: str, values: list[Any]) -> Rows:
        number = max(NUM_ROWS.get(_name(path), 2), len(values) + 1)
        parts: list[Part] = []
        for index in range(number):
            value = values[index] if index < len(values) else None
            row_path = f"{path}.{index}"
            if issubclass(item, DatasetRef):
                row: Group = self._dataset(item, row_path, value, is_required=False)
            else:
                row = self.model(item, row_path, value or {}, in_row=True)
            row.title = f"{field_label(path)} {index + 1}"
            parts.append(row)
        return Rows(path=path, parts=parts, title=field_label(path))

    def _dataset(
        self,
        reference: type[DatasetRef],
        path: str,
        value: Mapping[str, Any] | None,
        *,
        is_required: bool,
    ) -> Dataset:
        kinds = get_args(reference.model_fields["kind"].annotation)
        values = value or {}
        filters = values.get("where") or []
        chosen = self._input(path, self._inputs.datasets(kinds), value, is_required=is_required)
        limit = _scalar_field(
            f"{path}.limit", int, initial=values.get("limit"), default=None, is_required=False
        )
        rows = [
            _filter(f"{path}.where.{index}", filters[index] if index < len(filters) else {})
            for index in range(max(NUM_ROWS["where"], len(filters) + 1))
        ]
        return Dataset(
            path=path,
            parts=[
                chosen,
                Scalar(path=f"{path}.limit", field=limit),
                Rows(path=f"{path}.where", parts=list(rows)),
            ],
        )

    def _input(
        self,
        path: str,
        choices: list[InputChoice],
        value: Mapping[str, Any] | None,
        *,
        is_required: bool,
    ) -> Input:
        named = str(value["path"]) if value and value.get("path") else None
        initial = next((c.token for c in choices if str(c.path) == named), "") if named else ""
        return Input(
            path=path,
            is_needed=is_required,
            choices={choice.token: choice for choice in choices},
            field=forms.ChoiceField(
                label=field_label(path),
                choices=[("", "\N{EM DASH}"), *((c.token, c.label) for c in choices)],
                initial=initial,
                required=is_required,
                help_text=path if choices else _("%(path)s; there is none yet") % {"path": path},
            ),
        )


def field_label(path: str) -> str:
    """What the field at a dotted path is called; a row has its list's name."""
    name = _name(path)
    scoped = ".".join(_without_numbers(path).split(".")[-2:])
    label = FIELD_LABELS.get(scoped) or FIELD_LABELS.get(name)
    return str(label) if label else name.replace("_", " ")


def _filter(path: str, value: Mapping[str, Any]) -> Filter:
    texts = [json.dumps(v) if _scalar(str(v)) != v else str(v) for v in value.get("values", ())]
    fields: dict[str, forms.Field] = {
        "field": forms.CharField(
            label=field_label(f"{path}.field"), required=False, initial=value.get("field", "")
        ),
        "values": forms.CharField(
            label=field_label(f"{path}.values"), required=False, initial=",".join(texts)
        ),
        "keep": forms.ChoiceField(
            label=field_label(f"{path}.keep"),
            required=False,
            choices=[(name, CHOICE_LABELS[name]) for name in ("keep", "drop")],
            initial="keep" if value.get("keep", True) else "drop",
        ),
    }
    parts: list[Part] = [
        Scalar(path=f"{path}.{name}", field=form_field, is_needed=name == "field")
        for name, form_field in fields.items()
    ]
    return Filter(path=path, parts=parts)


def _scalar_field(
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


def _lines_field(path: str, text: str) -> forms.Field:
    return forms.CharField(
        label=field_label(path),
        required=False,
        initial=text,
        help_text=_("%(path)s; one a line") % {"path": path},
        widget=forms.Textarea(attrs={"rows": 3}),
    )


def _scalar(text: str) -> str | int | bool:
    """The value of a row's field that a person wrote; quotes make a text of a number."""
    try:
        value = json.loads(text.strip())
    except json.JSONDecodeError:
        return text.strip()
    return value if isinstance(value, str | int | bool) else text.strip()


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, UnionType):
        kept = [arg for arg in get_args(annotation) if arg is not NoneType]
        if len(kept) == 1:
            return kept[0], len(kept) < len(get_args(annotation))
    return annotation, False


def _name(path: str) -> str:
    return _without_numbers(path).rpartition(".")[2]


def _without_numbers(path: str) -> str:
    return ".".join(part for part in path.split(".") if not part.isdigit())
