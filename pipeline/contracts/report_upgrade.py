"""Reports written before `results` had types, brought to the form of today.

Version 1 held loose `metrics` beside `kind`, with an interval spelled in three ways. Nothing is
computed here: each figure is the stored one under its new name. What version 1 did not say (what
was resampled) follows from its counts.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.contracts.estimates import resampled_unit

Document = dict[str, Any]

_OVERLAP_NAMES = {
    "rouge1": "rouge1",
    "rouge2": "rouge2",
    "rougeL": "rougeL",
    "bleu4": "bleu4",
    "mean_answer_tokens": "num_answer_tokens",
    "cut_at_cap_fraction": "cut_at_cap",
    "repeated_4gram_rate": "repeated_4gram_rate",
}
"""Key of version 1 -> key of the measure."""


def upgrade_report(document: Mapping[str, Any]) -> Document:
    """`document` in the current version; as it is when it already is, or is no report at all."""
    if document.get("v") != 1 or not isinstance(document.get("metrics"), dict):
        return dict(document)
    kept = {key: value for key, value in document.items() if key not in ("v", "kind", "metrics")}
    kind = document.get("kind")
    upgrade = _RESULTS.get(str(kind), dict)
    return kept | {"v": 2, "results": {"kind": kind} | upgrade(document["metrics"])}


def _evaluate(metrics: Document) -> Document:
    results = dict(metrics)
    if overlap := metrics.get("text_overlap"):
        results["text_overlap"] = _text_overlap(overlap)
    if ability := metrics.get("general_ability"):
        results["general_ability"] = {
            "n": ability["n"],
            "num_correct": ability["num_correct"],
            "chance": ability["chance"],
            "figures": {
                "is_correct": ability["accuracy"],
                "probability": ability["mean_probability"],
            },
        }
    if retention := metrics.get("retention"):
        results["retention"] = {score: _retention(one) for score, one in retention.items()}
    if compared := metrics.get("text_overlap_vs_baseline"):
        # Corpus BLEU was compared on the same questions and did not say which were missing.
        missing = compared["rouge1"]["missing"]
        results["text_overlap_vs_baseline"] = {
            measure: _paired(one, missing) for measure, one in compared.items()
        }
    return results


def _text_overlap(overlap: Document) -> Document:
    results = _overlap_figures(overlap)
    for name in ("rouge_signature", "bleu_signature"):
        results[name] = overlap[name]
    for name in ("documents_seen", "documents_unseen"):
        if name in overlap:
            results[name] = _overlap_figures(overlap[name])
    return results


def _overlap_figures(overlap: Document) -> Document:
    kept = ("n", "num_empty", "brevity_penalty", "mean_reference_tokens")
    figures = {now: overlap[before] for before, now in _OVERLAP_NAMES.items()}
    return {name: overlap[name] for name in kept} | {"figures": figures}


def _paired(pair: Document, missing: int) -> Document:
    n, num_units = pair["n"], pair["num_units"]
    return {
        "baseline": pair["baseline"],
        "candidate": pair["candidate"],
        "difference": _estimate(pair, "difference", n, num_units),
        "ratio": _estimate(pair, "ratio", n, num_units),
        "improved": pair.get("improved"),
        "regressed": pair.get("regressed"),
        "tied": pair.get("tied"),
        "missing": pair.get("missing", missing),
    }


def _retention(retention: Document) -> Document:
    flips = retention["flips"]
    if flips is not None:
        micro = retention["micro"]
        rate = _estimate(flips, "regressed_rate", micro["num_items"], micro["num_units"])
        flips = {key: value for key, value in flips.items() if key != "regressed_rate_interval"}
        flips["regressed_rate"] = rate
    return retention | {
        "macro": _retention_group(retention["macro"]),
        "micro": _retention_group(retention["micro"]),
        "categories": [
            one | {"estimate": _retention_group(one["estimate"])} for one in retention["categories"]
        ],
        "flips": flips,
    }


def _retention_group(group: Document) -> Document:
    n, num_units = group["num_items"], group["num_units"]
    return {name: group[name] for name in ("base", "new", "chance")} | {
        name: _estimate(group, name, n, num_units)
        for name in ("difference", "ratio", "adjusted_ratio")
    }


def _estimate(owner: Document, name: str, n: int, num_units: int) -> Document | None:
    """`owner[name]` with `owner[name + "_interval"]` as an `Estimate`."""
    if owner[name] is None:
        return None
    interval = owner[f"{name}_interval"] or {"low": None, "high": None, "level": None}
    resampled = resampled_unit(n, num_units)
    return {"value": owner[name], "n": n, "num_units": num_units, "resampled": resampled} | {
        bound: interval[bound] for bound in ("low", "high", "level")
    }


def _speculative_decode(metrics: Document) -> Document:
    arms = {name: _arm(arm) for name, arm in metrics["arms"].items()}
    return metrics | {"arms": arms}


def _arm(arm: Document) -> Document:
    speedups = ("speedup", "speedup_without_repetitive_answers")
    return arm | {name: _speedup(arm[name]) for name in speedups if arm.get(name) is not None}


def _speedup(speedup: Document) -> Document:
    return {key: speedup[key] for key in ("value", "low", "high", "level", "n")} | {
        "num_units": speedup["n"],
        "resampled": "prompt",
    }


_RESULTS: Mapping[str, Callable[[Document], Document]] = {
    "evaluate": _evaluate,
    "speculative_decode": _speculative_decode,
}
"""Kinds whose figures changed their form; the others' are the same under `results`."""
