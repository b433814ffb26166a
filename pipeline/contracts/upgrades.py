"""Documents written before a contract changed, brought to the form of today.

Readers upgrade what they read; nobody rewrites what is stored, because its bytes identify a run.
Everything here works on plain JSON and lets what it does not understand pass: the contract itself
says what is wrong with a document.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

JsonObject = dict[str, JsonValue]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecUpgrade:
    """How a spec of one kind and version becomes one of the next version."""

    step: Callable[[JsonObject], JsonObject]
    retired: frozenset[str]
    """Fields the next version lacks: they tell the version of a document that does not name it."""


def _arms_are_a_list(document: JsonObject) -> JsonObject:
    """Version 2 of a decoding benchmark: the drafts, then n-gram lookup, are arms with a method.

    `num_losslessness_prompts` was read by nothing: the answers to all prompts are compared.
    """
    drafts, has_ngram = document.get("drafts", []), document.get("ngram_arm", True)
    if "arms" in document or not isinstance(drafts, list) or not isinstance(has_ngram, bool):
        return document
    arms = _each(drafts, lambda draft: {"method": "draft_model"} | draft)
    lookup: list[JsonValue] = [{"method": "ngram", "name": "ngram"}] if has_ngram else []
    kept = {key: value for key, value in document.items() if key not in _RETIRED_WITH_DRAFTS}
    return kept | {"schema_version": 2, "arms": [*arms, *lookup]}


def _each(items: list[JsonValue], upgrade: Callable[[JsonObject], JsonObject]) -> list[JsonValue]:
    return [upgrade(item) if isinstance(item, dict) else item for item in items]


def _no_margins_were_fixed(document: JsonObject) -> JsonObject:
    """Version 2 of an evaluation: it has margins of equivalence, of which version 1 knew none."""
    if "margins" in document:
        return document
    return document | {"schema_version": 2, "margins": dict.fromkeys(_MEASURES_WITH_MARGINS)}


def _what_version_2_did(document: JsonObject) -> JsonObject:
    """Version 3 of an evaluation: defaults that version 2 did not know, as it would have had them.

    A base is asked once, answers are cut at 96 tokens, eight texts of the base are scored, and no
    margin of the likelihood of references or of the gauge was fixed.
    """
    before: dict[str, JsonObject] = {
        "general_ability": {"flip_null": False},
        "text_overlap": {"max_new_tokens": 96},
        "gauge": {"num_samples": 8, "margin": None},
        "margins": {"reference_bits_per_byte": None},
    }
    found: JsonObject = {"margins": {}} | document
    for name, defaults in before.items():
        settings = found.get(name)
        if isinstance(settings, dict):
            found[name] = defaults | settings
    return found | {"schema_version": 3}


def _losses_were_at_temperature_one(document: JsonObject) -> JsonObject:
    """Version 2 of a distillation: its loss is at the temperature served, that of version 1 at 1.

    For greedy answers that is the same. Its other new settings are off unless they are named.
    """
    answers = document.get("answers")
    is_sampled = isinstance(answers, dict) and bool(answers.get("temperature", 0.0))
    before: JsonObject = {"loss_temperature": "one"} if is_sampled else {}
    return before | document | {"schema_version": 2}


def _two_prompts_were_probed(document: JsonObject) -> JsonObject:
    """Version 3 of a decoding benchmark: how many prompts are probed can be chosen."""
    return {"num_probe_prompts": 2} | document | {"schema_version": 3}


def _one_sheet_is_a_list(document: JsonObject) -> JsonObject:
    """Version 2 of an import: several sheets of a workbook can be read."""
    sheet = document.get("sheet")
    kept = {key: value for key, value in document.items() if key != "sheet"}
    sheets: list[JsonValue] = [] if sheet is None else [sheet]
    return {"sheets": sheets} | kept | {"schema_version": 2}


_MEASURES_WITH_MARGINS = (
    "rouge1",
    "rouge2",
    "rougeL",
    "bleu4",
    "cut_at_cap",
    "repeated_4gram_rate",
    "is_correct",
    "probability",
)
_RETIRED_WITH_DRAFTS = frozenset({"drafts", "ngram_arm", "num_losslessness_prompts"})

SPEC_UPGRADES: Mapping[tuple[str, int], SpecUpgrade] = {
    ("evaluate", 1): SpecUpgrade(step=_no_margins_were_fixed, retired=frozenset()),
    ("evaluate", 2): SpecUpgrade(step=_what_version_2_did, retired=frozenset()),
    ("import_dataset", 1): SpecUpgrade(step=_one_sheet_is_a_list, retired=frozenset({"sheet"})),
    ("logit_distill", 1): SpecUpgrade(step=_losses_were_at_temperature_one, retired=frozenset()),
    ("speculative_decode", 1): SpecUpgrade(step=_arms_are_a_list, retired=_RETIRED_WITH_DRAFTS),
    ("speculative_decode", 2): SpecUpgrade(step=_two_prompts_were_probed, retired=frozenset()),
}
"""(kind, version) -> the step to version + 1, oldest first; other kinds have had one version."""

_GROUP = r"^results\.text_overlap\.((?:documents_(?:seen|unseen)\.)?)"
_COMPARED = r"^(results\.(?:retention|text_overlap_vs_baseline)\..+"
GATE_PATHS: tuple[tuple[str, str, str], ...] = (
    ("", r"^metrics\.", "results."),
    ("evaluate", _GROUP + r"mean_answer_tokens$", r"results.text_overlap.\1num_answer_tokens"),
    ("evaluate", _GROUP + r"cut_at_cap_fraction$", r"results.text_overlap.\1cut_at_cap"),
    (
        "evaluate",
        _GROUP + r"(rouge1|rouge2|rougeL|bleu4|num_answer_tokens|cut_at_cap|repeated_4gram_rate)$",
        r"results.text_overlap.\1figures.\2",
    ),
    (
        "evaluate",
        r"^results\.general_ability\.accuracy$",
        "results.general_ability.figures.is_correct",
    ),
    (
        "evaluate",
        r"^results\.general_ability\.mean_probability$",
        "results.general_ability.figures.probability",
    ),
    ("evaluate", _COMPARED + r")_interval\.(low|high|level)$", r"\1.\2"),
    (
        "evaluate",
        _COMPARED + r"\.(?:difference|ratio|adjusted_ratio|regressed_rate))$",
        r"\1.value",
    ),
    ("evaluate", _COMPARED + r"\.)num_items$", r"\1difference.n"),
    ("evaluate", _COMPARED + r"\.)num_units$", r"\1difference.num_units"),
    ("evaluate", r"^(results\.text_overlap_vs_baseline\.[^.]+\.)n$", r"\1difference.n"),
)
"""(kind or "" for all, pattern of a gate's metric path, what it is now), applied one by one."""


def upgrade_spec(document: JsonObject) -> JsonObject:
    """`document` in the current version of its kind; equal to it when it already is."""
    kind, steps = document.get("kind"), document.get("steps")
    if kind == "plan" and isinstance(steps, list):
        return document | {"steps": _each(steps, _upgrade_plan_step)}
    for (of_kind, version), upgrade in SPEC_UPGRADES.items():
        if of_kind == kind and _is_of_version(document, version, upgrade):
            document = upgrade.step(document)
    return document


def upgrade_gate_path(kind: str, metric: str) -> str:
    """The metric path of a gate on a report of `kind`, in the report's form of today."""
    for of_kind, before, now in GATE_PATHS:
        if of_kind in ("", kind):
            metric = re.sub(before, now, metric)
    return metric


def _is_of_version(document: JsonObject, version: int, upgrade: SpecUpgrade) -> bool:
    if "schema_version" in document:
        return document["schema_version"] == version
    return bool(upgrade.retired & document.keys())


def _upgrade_plan_step(step: JsonObject) -> JsonObject:
    spec = step.get("spec")
    if not isinstance(spec, dict):
        return step
    upgraded: JsonObject = step | {"spec": upgrade_spec(spec)}
    kind, gates = str(spec.get("kind")), step.get("gates")
    if isinstance(gates, list):
        upgraded["gates"] = _each(gates, lambda gate: _upgrade_gate(kind, gate))
    return upgraded


def _upgrade_gate(kind: str, gate: JsonObject) -> JsonObject:
    metric = gate.get("metric")
    return gate | {"metric": upgrade_gate_path(kind, metric)} if isinstance(metric, str) else gate
