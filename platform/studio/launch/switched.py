"""Settings that are all optional and have defaults: a tick says whether they are wanted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from studio.launch.parts import MISSING, Group, Locations, Scalar


@dataclass(kw_only=True)
class Switched(Group):
    """A group whose first part is the tick; in the document an object, or nothing."""

    def is_filled(self, cleaned: Mapping[str, Any]) -> bool:
        return bool(cleaned.get(self.path))

    def read(self, cleaned: Mapping[str, Any], at: str, locations: Locations) -> Any:
        locations[at] = self.path
        if not self.is_filled(cleaned):
            return MISSING
        settings = Group(path=self.path, parts=self.parts[1:])
        return settings.read(cleaned, at, locations)


def switched(group: Group, *, is_on: bool) -> Switched:
    """The group behind a tick."""
    tick = forms.BooleanField(
        label=_("Switch on"), required=False, initial=is_on, help_text=group.path
    )
    return Switched(
        path=group.path,
        parts=[Scalar(path=group.path, field=tick), *group.parts],
        title=group.title,
    )
