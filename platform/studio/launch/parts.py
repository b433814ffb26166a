"""A form's parts, one class for each shape that a spec's field can have.

Every part adds fields named by their dotted path in the spec, and later reads its piece of the
document back. Rows that were left empty are skipped, so a part notes at which path of the document
each field ended up: validation speaks of the document, people see the form.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms

from studio.launch.choices import Choice
from studio.launch.fields import field_label, field_name, scalar_value

MISSING = object()
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

    @property
    def can_be_filled(self) -> bool:
        """Whether a person can give something here that has no default."""
        return self.is_needed

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
    fallback: Any = MISSING
    """What an empty field means, where that is not the default of the field's own model."""

    def form_fields(self) -> Iterator[tuple[str, forms.Field]]:
        yield self.path, self.field

    def is_filled(self, cleaned: Mapping[str, Any]) -> bool:
        return self.is_needed and cleaned.get(self.path) not in (None, "")

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        locations[at] = self.path
        value = cleaned.get(self.path)
        return self.fallback if value in (None, "") else value


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
    choices: dict[str, Choice]

    @property
    def can_be_filled(self) -> bool:
        return True

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

    @property
    def can_be_filled(self) -> bool:
        return any(part.can_be_filled for part in self.parts)

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
class Alternatives(Group):
    """One of several models, chosen by the first part; the others' settings are left out."""

    settings: Mapping[str, frozenset[str]]
    """Choice -> names of its fields."""

    def is_filled(self, cleaned: Mapping[str, Any]) -> bool:
        return bool(cleaned.get(self.parts[0].path)) or super().is_filled(cleaned)

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        found = super().read(cleaned, at, locations)
        locations[at] = self.parts[0].path
        own = self.settings.get(cleaned.get(self.parts[0].path, ""), frozenset())
        # What a person gave for another choice stays, so that the contract says it is too much.
        given = {field_name(part.path) for part in self.parts if part.is_filled(cleaned)}
        return {name: value for name, value in found.items() if name in own | given}


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
        texts = cleaned.get(f"{self.path}.values", "").split(",")
        return {
            "field": cleaned.get(f"{self.path}.field", ""),
            "values": [scalar_value(text) for text in texts if text],
            "keep": cleaned.get(f"{self.path}.keep") != "drop",
        }
