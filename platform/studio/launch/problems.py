"""What is wrong with a spec, in the reader's language and at the field that can mend it."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import ValidationError

from pipeline.contracts.base import validation_problems
from pipeline.errors import SpecError

# Kinds of pydantic errors; the keys of the error's context fill the placeholders.
_TEXTS: dict[str, Promise] = {
    "missing": gettext_lazy("This is needed."),
    "greater_than": gettext_lazy("It must be greater than %(gt)s."),
    "greater_than_equal": gettext_lazy("It must be %(ge)s or more."),
    "less_than": gettext_lazy("It must be less than %(lt)s."),
    "less_than_equal": gettext_lazy("It must be %(le)s or less."),
    "string_pattern_mismatch": gettext_lazy(
        "Use lower-case Latin letters, digits and underscores, a letter first."
    ),
    "string_too_long": gettext_lazy("At most %(max_length)s characters."),
    "string_too_short": gettext_lazy("At least %(min_length)s characters."),
    "too_short": gettext_lazy("At least %(min_length)s is needed."),
    "finite_number": gettext_lazy("It must be a finite number."),
    "extra_forbidden": gettext_lazy("There is no such setting; remove it or correct its name."),
    "json_invalid": gettext_lazy("This is not JSON: %(error)s."),
    "union_tag_invalid": gettext_lazy("There is no kind %(tag)s; the kinds are %(expected_tags)s."),
    "union_tag_not_found": gettext_lazy("The document must name its kind."),
    "literal_error": gettext_lazy("It must be %(expected)s."),
    "string_type": gettext_lazy("It must be text."),
    "int_type": gettext_lazy("It must be a whole number."),
    "float_type": gettext_lazy("It must be a number."),
    "bool_type": gettext_lazy("It must be true or false."),
    "tuple_type": gettext_lazy("It must be a list."),
    "model_type": gettext_lazy("It must be an object."),
}


def spec_problems(error: SpecError) -> list[tuple[str, str]]:
    """(dotted path, message) for each problem; no path where the error names none.

    A check of several fields stands at their common object; the dotted name its message begins with
    says which one to mend.
    """
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return [("", str(error))]
    problems = []
    items = cause.errors(include_url=False)
    described = validation_problems(cause)
    for item, (path, message) in zip(items, described, strict=True):
        path = "" if path.startswith("(") else path
        if item["type"] == "too_short" and any(
            at.startswith(f"{path}.") for at, _message in described
        ):
            continue  # pydantic counts only the right items; the wrong ones are named anyway
        # What tells the members of a list apart is one of their fields.
        untagged = path and item["type"] == "union_tag_not_found"
        known = _TEXTS["missing"] if untagged else _TEXTS.get(item["type"])
        if known is not None:
            problems.append((path, str(known) % item.get("ctx", {})))
        elif item["type"] == "value_error":
            problems.append((_mended_at(path, message), _cross_field_text(message)))
        else:
            problems.append((path, message))
    return problems


def field_of(path: str, locations: Mapping[str, str]) -> str | None:
    """The form field for a path of the document: itself, what holds it, or its first part."""
    parts = path.split(".") if path else []
    for length in range(len(parts), 0, -1):
        found = locations.get(".".join(parts[:length]))
        if found is not None:
            return found
    inside = (name for at, name in locations.items() if path and at.startswith(f"{path}."))
    return next(inside, None)


def _mended_at(path: str, message: str) -> str:
    name = message.partition(" ")[0].rstrip(":")
    is_name = name.replace("_", "").replace(".", "").isalnum() and ("_" in name or "." in name)
    if not is_name and not message.partition(" ")[0].endswith(":"):
        return path
    return f"{path}.{name}" if path else name


def _cross_field_text(message: str) -> str:
    texts: dict[str, Any] = {
        "warmup_fraction + decay_fraction must not exceed 1": _(
            "Warm-up and decay together must not exceed 1."
        ),
        "stages.0.replay_fraction must be 0: no earlier stage to replay": _(
            "The first stage has no earlier stage to replay: 0 is the only choice."
        ),
        "min_ngram must not exceed max_ngram": _(
            "The shortest run of tokens must not be longer than the longest."
        ),
        "give `dataset`, `teacher_cache` or both": _("Choose a data set, stored answers, or both."),
        "give at least one of text_overlap, general_ability, gauge, benchmarks, harness_tasks": _(
            "Choose a data set for at least one of text overlap, general ability and drift."
        ),
    }
    if message in texts:
        return str(texts[message])
    if "names must differ" in message:
        return _("The names must differ: %(names)s.") % {"names": message.partition("got ")[2]}
    return message
