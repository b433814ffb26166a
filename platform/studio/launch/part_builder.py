"""The parts of a form for a spec's model, made from its annotations."""

import json
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from django import forms
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.contracts.references import DatasetRef, Reference
from studio.launch.alternatives import say_whose
from studio.launch.choices import Choice, ProjectChoices
from studio.launch.fields import (
    field_label,
    field_name,
    input_hint,
    lines_field,
    scalar_field,
    scalar_value,
)
from studio.launch.labels import CHOICE_LABELS
from studio.launch.parts import (
    MISSING,
    Alternatives,
    Dataset,
    Filter,
    Group,
    Input,
    Lines,
    Part,
    Rows,
    Scalar,
)
from studio.launch.switched import switched

FIXED_FIELDS = frozenset({"schema_version", "kind"})
NUM_ROWS = {"sources": 3, "stages": 3, "arms": 4, "heldout": 2, "datasets": 2, "where": 1}
"""Rows that a list offers at first; 2 where nothing is said."""


class PartBuilder:
    """Makes the parts for a spec's model, filled with the values of `document`."""

    def __init__(self, choices: ProjectChoices) -> None:
        self._choices = choices

    def model(
        self,
        model: type[BaseModel],
        path: str,
        values: Mapping[str, Any],
        *,
        in_row: bool = False,
        defaults: BaseModel | None = None,
    ) -> Group:
        """The fields of a model, in the order in which it declares them.

        `defaults`: what an empty field means, where what the model belongs to says it.
        """
        parts = [
            self._field(
                info,
                f"{path}.{name}" if path else name,
                values.get(name),
                in_row=in_row,
                default=MISSING if defaults is None else getattr(defaults, name),
            )
            for name, info in model.model_fields.items()
            if name not in FIXED_FIELDS
        ]
        return Group(path=path, parts=parts, title=field_label(path) if path else "")

    def _field(
        self, info: FieldInfo, path: str, value: Any, *, in_row: bool, default: Any = MISSING
    ) -> Part:
        fallback = default
        if default is MISSING:
            default = None if info.is_required() else info.get_default(call_default_factory=True)
        annotation, is_optional = _without_none(info.annotation)
        is_needed = info.is_required()
        if get_origin(annotation) is tuple:
            item = get_args(annotation)[0]
            if get_origin(item) is Annotated or (
                isinstance(item, type) and issubclass(item, BaseModel)
            ):
                return self._rows(item, path, value or [])
            text = "\n".join(value or [])
            return Lines(path=path, field=lines_field(path, text))
        if isinstance(annotation, type) and issubclass(annotation, DatasetRef):
            return self._dataset(annotation, path, value, is_required=is_needed and not in_row)
        if isinstance(annotation, type) and issubclass(annotation, Reference):
            choices = self._choices.outputs(annotation.takes)
            return self._input(path, choices, value, is_required=is_needed and not in_row)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            group = self.model(
                annotation,
                path,
                value or {},
                in_row=in_row or is_optional,
                defaults=default if isinstance(default, BaseModel) else None,
            )
            if is_optional and not any(part.can_be_filled for part in group.parts):
                return switched(group, is_on=value is not None)
            group.is_optional = is_optional
            return group
        return Scalar(
            path=path,
            is_needed=is_needed,
            fallback=fallback,
            field=scalar_field(
                path,
                annotation,
                initial=default if value is None else value,
                default=default,
                is_required=is_needed and not in_row,
            ),
        )

    def _rows(self, item: Any, path: str, values: list[Any]) -> Rows:
        number = max(NUM_ROWS.get(field_name(path), 2), len(values) + 1)
        parts: list[Part] = []
        for index in range(number):
            value = values[index] if index < len(values) else None
            row_path = f"{path}.{index}"
            if get_origin(item) is Annotated:
                union, tagged = get_args(item)
                row: Group = self._alternatives(union, tagged, row_path, value or {})
            elif issubclass(item, DatasetRef):
                row = self._dataset(item, row_path, value, is_required=False)
            else:
                row = self.model(item, row_path, value or {}, in_row=True)
            row.title = f"{field_label(path)} {index + 1}"
            parts.append(row)
        return Rows(path=path, parts=parts, title=field_label(path))

    def _alternatives(
        self, union: Any, tagged: FieldInfo, path: str, values: Mapping[str, Any]
    ) -> Alternatives:
        tag = str(tagged.discriminator)
        models = {model.model_fields[tag].default: model for model in get_args(union)}
        every = [item for model in models.values() for item in model.model_fields.items()]
        # A field of two models is asked for once, as needed where one of them needs it.
        infos = dict(every) | {name: info for name, info in every if info.is_required()}
        choice = forms.ChoiceField(
            label=field_label(f"{path}.{tag}"),
            choices=[("", "\N{EM DASH}"), *((m, CHOICE_LABELS.get(m, m)) for m in models)],
            initial=values.get(tag, ""),
            required=False,
            help_text=f"{path}.{tag}",
        )
        parts = {
            name: self._field(info, f"{path}.{name}", values.get(name), in_row=True)
            for name, info in infos.items()
            if name != tag
        }
        settings = {name: frozenset(model.model_fields) for name, model in models.items()}
        say_whose(choice, parts, settings)
        return Alternatives(
            path=path,
            parts=[
                Scalar(path=f"{path}.{tag}", field=choice, is_needed=True),
                *parts.values(),
            ],
            settings=settings,
        )

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
        chosen = self._input(path, self._choices.datasets(kinds), value, is_required=is_required)
        limit = scalar_field(
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
        choices: list[Choice],
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
                help_text=input_hint(path, has_choices=bool(choices)),
            ),
        )


def _filter(path: str, value: Mapping[str, Any]) -> Filter:
    texts = [
        json.dumps(v) if scalar_value(str(v)) != v else str(v) for v in value.get("values", ())
    ]
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


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, UnionType):
        kept = [arg for arg in get_args(annotation) if arg is not NoneType]
        if len(kept) == 1:
            return kept[0], len(kept) < len(get_args(annotation))
    return annotation, False
