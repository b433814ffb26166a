"""Which fields belong to which choice, for `js/alternatives.js`; without it all of them stand."""

from collections.abc import Mapping

from django import forms

from studio.launch.parts import Part


def say_whose(
    choice: forms.ChoiceField, parts: Mapping[str, Part], settings: Mapping[str, frozenset[str]]
) -> None:
    """Each field of `parts` (by name) names the choices that have it; the choice is marked."""
    choice.widget.attrs["data-alternatives"] = ""
    for name, part in parts.items():
        whose = " ".join(value for value, own in settings.items() if name in own)
        for _path, field in part.form_fields():
            field.widget.attrs["data-for"] = whose
