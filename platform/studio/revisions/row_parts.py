"""A row as the texts that a form shows, and back.

Only texts and the right choice can be changed in a form. Everything else of the row (numbers in
`meta`, fields of turns) goes back as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from studio.datasets.fields import field_choices
from studio.datasets.version_tables import LETTERS

LANGUAGES = (("zh", "zh"), ("en", "en"))
_TEXTS = ("title", "text", "instruction", "input", "output", "question", "source", "license")
_REQUIRED = frozenset({"text", "instruction", "output", "question"})


@dataclass(frozen=True, kw_only=True, slots=True)
class RowPart:
    """One field of the form."""

    label: str
    value: str
    is_required: bool = False
    choices: tuple[tuple[str, str], ...] = ()


def row_parts(row: Mapping[str, Any], kind: str) -> dict[str, RowPart]:
    """Name in the form -> what stands there, for a row as JSON (`version_tables.json_row`)."""
    words = dict(field_choices(kind))
    parts: dict[str, RowPart] = {}
    for name in _TEXTS:
        if isinstance(row.get(name), str):
            parts[name] = RowPart(
                label=words.get(name, name), value=row[name], is_required=name in _REQUIRED
            )
    for index, turn in enumerate(row.get("messages", ())):
        label = _("Turn %(number)s: %(role)s") % {"number": index + 1, "role": turn["role"]}
        parts[f"turn_{index}"] = RowPart(label=label, value=turn["content"], is_required=True)
    choices = row.get("choices", ())
    for index, choice in enumerate(choices):
        label = _("choice %(letter)s") % {"letter": _letter(index)}
        parts[f"choice_{index}"] = RowPart(label=label, value=choice, is_required=True)
    if choices and isinstance(row.get("answer"), int):
        letters = tuple((str(index), _letter(index)) for index in range(len(choices)))
        parts["answer"] = RowPart(
            label=_("right choice"), value=str(row["answer"]), choices=letters
        )
    parts["lang"] = RowPart(
        label=words.get("lang", "lang"), value=str(row["lang"]), choices=LANGUAGES
    )
    for index, (key, value) in enumerate(row["meta"].items()):
        if isinstance(value, str):
            parts[f"meta_{index}"] = RowPart(label=key, value=value)
    return parts


def changed_row(row: Mapping[str, Any], sent: Mapping[str, str]) -> dict[str, Any]:
    """The row after the form: `sent` has a text for each of `row_parts`."""
    changed = dict(row) | {name: sent[name] for name in (*_TEXTS, "lang") if name in sent}
    if "messages" in row:
        changed["messages"] = [
            {**turn, "content": sent[f"turn_{index}"]} for index, turn in enumerate(row["messages"])
        ]
    if "choices" in row:
        changed["choices"] = [sent[f"choice_{index}"] for index in range(len(row["choices"]))]
    if "answer" in sent:
        changed["answer"] = int(sent["answer"])
    changed["meta"] = {
        key: sent.get(f"meta_{index}", value)
        for index, (key, value) in enumerate(row["meta"].items())
    }
    return changed


def _letter(index: int) -> str:
    return LETTERS[index] if index < len(LETTERS) else str(index + 1)
