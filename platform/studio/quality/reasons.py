"""Names of checks, and the reason of each flag in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.contracts.quality_checks import CheckCode, PersonalKind
from studio.datasets.fields import field_label

CHECK_LABELS: dict[CheckCode, Promise] = {
    "duplicate.exact": gettext_lazy("Same as an earlier row"),
    "duplicate.near": gettext_lazy("Nearly the same as an earlier row"),
    "overlap.test_set": gettext_lazy("Shares text with a test"),
    "language.differs": gettext_lazy("Another language than declared"),
    "length.short": gettext_lazy("Far shorter than the others"),
    "length.long": gettext_lazy("Far longer than the others"),
    "boilerplate.line": gettext_lazy("Holds a line of many rows"),
    "personal.identity_number": gettext_lazy("Identity number"),
    "personal.mobile_phone": gettext_lazy("Mobile phone number"),
    "personal.bank_card": gettext_lazy("Bank card number"),
    "personal.email": gettext_lazy("E-mail address"),
}
PERSONAL_LABELS: dict[PersonalKind, Promise] = {
    "identity_number": CHECK_LABELS["personal.identity_number"],
    "mobile_phone": CHECK_LABELS["personal.mobile_phone"],
    "bank_card": CHECK_LABELS["personal.bank_card"],
    "email": CHECK_LABELS["personal.email"],
}
_LANGUAGES: dict[str, Promise] = {
    "zh": gettext_lazy("Chinese"),
    "en": gettext_lazy("English"),
    "ja": gettext_lazy("Japanese"),
    "ko": gettext_lazy("Korean"),
}
Params = Mapping[str, str | int | float]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFlag:
    """One flagged row."""

    row: int
    """Index in the version, from 0."""
    row_id: str
    check: CheckCode
    label: str
    reason: str
    kept_row: int | None
    """Index of the row that stays, of duplicates."""


def reason(
    check: CheckCode, params: Params, score: float, *, kind: str, test_names: Sequence[str]
) -> str:
    """Why the row is flagged, with the evidence.

    Args:
        check: What it is flagged for.
        params: The evidence, as the check stored it.
        score: How strong it is.
        kind: What the rows are, for the names of their fields.
        test_names: The tests it was compared with, in the order of the check.
    """
    values = {name: str(value) for name, value in params.items()}
    if "share" in params:
        values["share"] = f"{params['share']:.0%}"
    if "field" in params:
        values["field"] = _field_words(values["field"], kind)
    for name in ("declared", "found"):
        if name in values:
            values[name] = str(_LANGUAGES.get(values[name], values[name]))
    match check:
        case "duplicate.exact":
            return _("says the same as %(kept)s") % values
        case "duplicate.near":
            values["similarity"] = f"{score:.0%}"
            return _("%(similarity)s of its shingles are those of %(kept)s") % values
        case "overlap.test_set":
            number = int(params["test_set"])
            known = number < len(test_names)
            values["test"] = test_names[number] if known else str(number + 1)
            return _("%(share)s of %(item)s in %(test)s: \u201c%(text)s\u201d") % values
        case "language.differs":
            return (
                _("declared as %(declared)s, but %(share)s of it is written in %(found)s") % values
            )
        case "length.short" | "length.long":
            return (
                _(
                    "%(field)s has %(length)s characters; most have between %(shortest)s and "
                    "%(longest)s"
                )
                % values
            )
        case "boilerplate.line":
            return _("\u201c%(line)s\u201d stands in %(num_rows)s rows") % values
        case _:
            return _("%(value)s in %(field)s; %(count)s in all") % values


def _field_words(field: str, kind: str) -> str:
    """A field in the reader's words; of several texts in one with its number."""
    name, _dot, number = field.partition(".")
    if name == "meta":
        return field_label(field, kind)
    label = field_label(name, kind)
    return f"{label} {number}" if number else label
