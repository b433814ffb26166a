"""The SOAEsV2 recipe on the demonstration data, as one plan.

    evaluate_base -> cpt -> evaluate_cpt
                     cpt -> sft_progressive  -> evaluate_sft_progressive
                     cpt -> sft_single_stage -> evaluate_sft_single_stage
                            sft_progressive  -> distill -> draft_target_text, draft_gold
                                                distill, drafts -> speculative_decode

Two documents of each topic are kept out of all training; passages of some general topic groups are
replayed and retention is judged on questions of the others (`examples/soae_demo/README.md`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.contracts.distillation_spec import DraftArchitecture
from pipeline.contracts.manifest import file_sha256
from pipeline.contracts.specs import PlanSpec, parse_spec


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How much of everything; as it stands it fits 30 minutes on two cores with SmolLM2-135M."""

    cpt_tokens: int = 12_000
    sft_stage_tokens: int = 10_000
    max_seq_length: int = 512
    num_answers: int = 32
    max_new_tokens: int = 96
    num_questions: int = 64
    num_gauge_texts: int = 8
    target_answer_tokens: int = 8_000
    draft_hidden_size: int = DraftArchitecture().hidden_size
    bench_prompts: int = 4
    bench_new_tokens: int = 64
    bench_repeats: int = 3


BUDGETS = {
    "demonstration": Budget(),
    # Every step with a model of a few thousand parameters: shows that all parts work together.
    "smoke": Budget(
        cpt_tokens=1024,
        sft_stage_tokens=1024,
        max_seq_length=1024,
        num_answers=4,
        max_new_tokens=8,
        num_questions=8,
        num_gauge_texts=2,
        target_answer_tokens=64,
        draft_hidden_size=32,
        bench_prompts=2,
        bench_new_tokens=8,
        bench_repeats=2,
    ),
}


def build_plan(*, base: Path, data_dir: Path, lang: str, budget: Budget, seed: int = 0) -> PlanSpec:
    """The plan for one language of the demonstration data and one base model."""
    splits = json.loads((data_dir / "splits.json").read_text(encoding="utf-8"))
    unseen = [f"{stem}-{lang}" for stem in splits["unseen_documents"]]
    data = _DataFiles(data_dir, lang, unseen)
    training = {
        "batch": {"max_seq_length": budget.max_seq_length, "gradient_accumulation_steps": 1},
        "seed": seed,
    }
    base_model = {"path": str(base)}
    replay = data(
        "corpus_general", "corpus", _where("meta.topic_group", splits["replay_topic_groups"])
    )
    cpt = training | {
        "kind": "continual_pretrain",
        "name": "continual pre-training with general replay",
        "model": base_model,
        "num_tokens": budget.cpt_tokens,
        "optimizer": {"learning_rate": 5e-5},
        "sources": [
            {
                "name": "domain",
                "weight": 0.8,
                "dataset": data.seen("corpus_domain", "corpus", "id"),
            },
            {"name": "general_replay", "weight": 0.2, "dataset": replay},
        ],
        "heldout": [data.unseen("corpus_domain", "corpus", "id")],
    }
    evaluation = _evaluation(data, base_model, splits, unseen, budget, seed)
    sft = training | {
        "kind": "curriculum_sft",
        "model": {"from_step": "cpt"},
        "optimizer": {"learning_rate": 5e-5},
        "stages": [
            {
                "name": "weakly_relevant",
                "num_tokens": budget.sft_stage_tokens,
                "datasets": [data("sft_weak", "conversations")],
            },
            {
                "name": "expert",
                "num_tokens": budget.sft_stage_tokens,
                "replay_fraction": 0.05,
                "datasets": [data.seen("sft_expert", "domain_test", "meta.doc_id")],
            },
        ],
    }
    target = {"from_step": "sft_progressive"}
    steps = {
        "evaluate_base": evaluation | {"model": base_model},
        "cpt": cpt,
        "evaluate_cpt": _compared(evaluation) | {"model": {"from_step": "cpt"}},
        "sft_progressive": sft | {"mode": "progressive", "name": "progressive fine-tuning"},
        "sft_single_stage": sft | {"mode": "single_stage", "name": "single-stage control"},
        "evaluate_sft_progressive": _compared(evaluation) | {"model": target},
        "evaluate_sft_single_stage": _compared(evaluation)
        | {"model": {"from_step": "sft_single_stage"}},
        **_drafts(data, target, budget, seed),
        "speculative_decode": {
            "kind": "speculative_decode",
            "name": "decoding benchmark",
            "target": target,
            "arms": [
                _draft_arm("distilled", "distill"),
                _draft_arm("control_target_text", "draft_target_text"),
                _draft_arm("control_gold", "draft_gold"),
                {"method": "ngram"},
            ],
            "prompts": data.unseen("domain_test", "domain_test", "meta.doc_id"),
            "num_prompts": budget.bench_prompts,
            "max_new_tokens": budget.bench_new_tokens,
            "num_repeats": budget.bench_repeats,
            "seed": seed,
        },
    }
    document = {
        "kind": "plan",
        "name": f"SOAEsV2 recipe, {lang} demonstration data",
        "seed": seed,
        "steps": [
            {"id": step_id, "spec": spec} | _gates(step_id) for step_id, spec in steps.items()
        ],
    }
    plan = parse_spec(json.dumps(document))
    assert isinstance(plan, PlanSpec)  # noqa: S101 (our own document above)
    return plan


def _draft_arm(name: str, step_id: str) -> dict[str, Any]:
    return {"method": "draft_model", "name": name, "model": {"from_step": step_id}}


def _drafts(data: "_DataFiles", target: Any, budget: Budget, seed: int) -> dict[str, Any]:
    draft = {
        "kind": "logit_distill",
        "target": target,
        "answers": {
            "prompts": data.seen("sft_expert", "domain_test", "meta.doc_id"),
            "num_tokens": budget.target_answer_tokens,
            "max_new_tokens": budget.max_new_tokens,
        },
        "draft": {"hidden_size": budget.draft_hidden_size},
        "batch": {"max_seq_length": budget.max_seq_length},
        "seed": seed,
    }
    cache = {"teacher_cache": {"from_step": "distill", "output": "teacher_cache"}}
    return {
        "distill": draft | {"objective": "forward_kl", "name": "draft by logit distillation"},
        "draft_target_text": draft
        | cache
        | {"objective": "ce_target_text", "name": "control draft on the target's text"},
        "draft_gold": draft
        | cache
        | {"objective": "ce_gold", "name": "control draft on gold answers"},
    }


def _evaluation(
    data: "_DataFiles",
    base_model: Mapping[str, str],
    splits: Mapping[str, Any],
    unseen: list[str],
    budget: Budget,
    seed: int,
) -> dict[str, Any]:
    judged = _where("meta.topic_group", splits["retention_topic_groups"])
    return {
        "kind": "evaluate",
        "base": base_model,
        "text_overlap": {
            "dataset": data("domain_test", "domain_test") | {"limit": budget.num_answers},
            "max_new_tokens": budget.max_new_tokens,
            "unseen_documents": unseen,
        },
        "general_ability": {
            "dataset": data("general_mcq", "multiple_choice", judged)
            | {"limit": budget.num_questions},
        },
        "gauge": {
            "prompts": data("corpus_general", "corpus", judged),
            "num_samples": budget.num_gauge_texts,
        },
        "seed": seed,
    }


def _compared(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The same evaluation on the same items and texts, with the base's results beside it."""
    return evaluation | {
        "baseline": {"from_step": "evaluate_base", "output": "samples"},
        "gauge": evaluation["gauge"]
        | {"texts": {"from_step": "evaluate_base", "output": "gauge_texts"}},
    }


def _gates(step_id: str) -> dict[str, Any]:
    """A benchmark whose output differs from the target's is a failed plan, never a number."""
    if step_id != "speculative_decode":
        return {}
    gate = {"metric": "results.losslessness.is_lossless", "operator": "equal", "value": True}
    return {"gates": [gate]}


def _where(field: str, values: list[Any], *, keep: bool = True) -> dict[str, Any]:
    return {"field": field, "values": values, "keep": keep}


class _DataFiles:
    """Data set references of one language, with digests."""

    def __init__(self, data_dir: Path, lang: str, unseen: list[str]) -> None:
        self._data_dir, self._lang, self._unseen = data_dir, lang, unseen

    def __call__(self, stem: str, kind: str, *where: dict[str, Any]) -> dict[str, Any]:
        path = (self._data_dir / f"{stem}.{self._lang}.jsonl").resolve()
        return {
            "kind": kind,
            "path": str(path),
            "digest": file_sha256(path),
            "where": list(where),
        }

    def seen(self, stem: str, kind: str, field: str) -> dict[str, Any]:
        """Rows whose document may be trained on."""
        return self(stem, kind, _where(field, self._unseen, keep=False))

    def unseen(self, stem: str, kind: str, field: str) -> dict[str, Any]:
        """Rows whose document is kept out of training."""
        return self(stem, kind, _where(field, self._unseen))
