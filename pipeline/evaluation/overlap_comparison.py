"""Two sets of answers to the same questions, compared pair by pair."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline.metrics.uncertainty import compare_paired, paired_bleu_bootstrap

SCORES = ("rouge1", "rouge2", "rougeL")

Rows = Mapping[str, Mapping[str, Any]]
"""Rows of `samples.parquet`, task `text_overlap`, by item id."""


def compare_overlap(baseline: Rows, candidate: Rows, *, seed: int = 0) -> dict[str, Any]:
    """Paired difference and ratio of ROUGE and corpus BLEU-4, with intervals.

    Questions about one document are resampled together. BLEU-4 has no per-question score, so it is
    compared on the questions both answered.

    Raises:
        EvaluationError: `eval.items_differ` when no question was answered by both.
    """
    both = [item_id for item_id in candidate if item_id in baseline]
    clusters = {
        item_id: row["cluster"] or f"item:{item_id}"
        for rows in (baseline, candidate)
        for item_id, row in rows.items()
    }
    compared: dict[str, Any] = {
        score: asdict(
            compare_paired(
                {item_id: row[score] for item_id, row in baseline.items()},
                {item_id: row[score] for item_id, row in candidate.items()},
                clusters=clusters,
                seed=seed,
            )
        )
        for score in SCORES
    }
    compared["bleu4"] = asdict(
        paired_bleu_bootstrap(
            [baseline[item_id]["bleu_statistics"] for item_id in both],
            [candidate[item_id]["bleu_statistics"] for item_id in both],
            clusters=[clusters[item_id] for item_id in both],
            seed=seed,
        )
    )
    return compared
