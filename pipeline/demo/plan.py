"""The SOAEsV2 recipe on the demonstration data, as one plan.

    evaluate_base -> cpt -> evaluate_cpt
                     cpt -> sft_progressive  -> evaluate_sft_progressive
                     cpt -> sft_single_stage -> evaluate_sft_single_stage
                            sft_progressive  -> distill -> draft_target_text, draft_gold
                                                distill, drafts -> speculative_decode

Two documents of each topic are kept out of all training; passages of some general topic groups are
replayed and retention is judged on questions of the others (`examples/soae_demo/README.md`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.contracts.decoding_spec import DraftModelArm, NGramArm, SpeculativeDecodeSpec
from pipeline.contracts.distillation_spec import DraftArchitecture, LogitDistillSpec, TargetAnswers
from pipeline.contracts.evaluation_spec import (
    EvaluateSpec,
    GaugeSettings,
    GeneralAbilitySettings,
    TextOverlapSettings,
)
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.references import (
    CorpusRef,
    DomainTestRef,
    GaugeTextsRef,
    InstructionRef,
    MultipleChoiceRef,
    Reference,
    SamplesRef,
    TeacherCacheRef,
)
from pipeline.contracts.specs import Gate, PlanSpec, PlanStep
from pipeline.contracts.training_specs import (
    BatchSettings,
    ContinualPretrainSpec,
    CurriculumSftSpec,
    CurriculumStage,
    MixtureSource,
    OptimizerSettings,
)
from pipeline.demo.data_files import DemonstrationData

TRAINING_OPTIMIZER = OptimizerSettings(learning_rate=5e-5)
LOSSLESS = Gate(metric="results.losslessness.is_lossless", operator="equal", value=True)
"""A benchmark whose output differs from the target's is a failed plan, never a number."""


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
    data = DemonstrationData(data_dir, lang)
    base_model, cpt = Reference(path=str(base)), Reference(from_step="cpt")
    progressive = Reference(from_step="sft_progressive")
    single_stage = Reference(from_step="sft_single_stage")
    evaluation = _evaluation(data, base_model, budget, seed)
    specs: dict[str, RunSpec] = {
        "evaluate_base": evaluation,
        "cpt": _continual_pretrain(data, base_model, budget, seed),
        "evaluate_cpt": _compared(evaluation, cpt),
        "sft_progressive": _fine_tuning(data, "progressive", budget, seed),
        "sft_single_stage": _fine_tuning(data, "single_stage", budget, seed),
        "evaluate_sft_progressive": _compared(evaluation, progressive),
        "evaluate_sft_single_stage": _compared(evaluation, single_stage),
        **_drafts(data, progressive, budget, seed),
        "speculative_decode": _benchmark(data, progressive, budget, seed),
    }
    return PlanSpec(
        name=f"SOAEsV2 recipe, {lang} demonstration data",
        seed=seed,
        steps=tuple(
            PlanStep(
                id=step_id,
                spec=spec,
                gates=(LOSSLESS,) if isinstance(spec, SpeculativeDecodeSpec) else (),
            )
            for step_id, spec in specs.items()
        ),
    )


def _training_batch(budget: Budget) -> BatchSettings:
    return BatchSettings(max_seq_length=budget.max_seq_length, gradient_accumulation_steps=1)


def _continual_pretrain(
    data: DemonstrationData, base_model: Reference, budget: Budget, seed: int
) -> ContinualPretrainSpec:
    return ContinualPretrainSpec(
        name="continual pre-training with general replay",
        seed=seed,
        model=base_model,
        num_tokens=budget.cpt_tokens,
        optimizer=TRAINING_OPTIMIZER,
        batch=_training_batch(budget),
        sources=(
            MixtureSource(
                name="domain",
                weight=0.8,
                dataset=data.rows(CorpusRef, "corpus_domain", "corpus", data.seen("id")),
            ),
            MixtureSource(
                name="general_replay",
                weight=0.2,
                dataset=data.rows(CorpusRef, "corpus_general", "corpus", data.replayed),
            ),
        ),
        heldout=(data.rows(CorpusRef, "corpus_domain", "corpus", data.unseen("id")),),
    )


def _fine_tuning(
    data: DemonstrationData, mode: Literal["progressive", "single_stage"], budget: Budget, seed: int
) -> CurriculumSftSpec:
    names = {"progressive": "progressive fine-tuning", "single_stage": "single-stage control"}
    return CurriculumSftSpec(
        name=names[mode],
        seed=seed,
        model=Reference(from_step="cpt"),
        mode=mode,
        optimizer=TRAINING_OPTIMIZER,
        batch=_training_batch(budget),
        stages=(
            CurriculumStage(
                name="weakly_relevant",
                num_tokens=budget.sft_stage_tokens,
                datasets=(data.rows(InstructionRef, "sft_weak", "conversations"),),
            ),
            CurriculumStage(
                name="expert",
                num_tokens=budget.sft_stage_tokens,
                replay_fraction=0.05,
                datasets=(_expert_questions(data),),
            ),
        ),
    )


def _expert_questions(data: DemonstrationData) -> InstructionRef:
    return data.rows(InstructionRef, "sft_expert", "domain_test", data.seen("meta.doc_id"))


def _drafts(
    data: DemonstrationData, target: Reference, budget: Budget, seed: int
) -> dict[str, LogitDistillSpec]:
    """Three drafts that differ by their objective alone; the first writes the teacher's cache."""
    distilled = LogitDistillSpec(
        name="draft by logit distillation",
        seed=seed,
        target=target,
        objective="forward_kl",
        answers=TargetAnswers(
            prompts=_expert_questions(data),
            num_tokens=budget.target_answer_tokens,
            max_new_tokens=budget.max_new_tokens,
        ),
        draft=DraftArchitecture(hidden_size=budget.draft_hidden_size),
        batch=BatchSettings(max_seq_length=budget.max_seq_length),
    )
    cache = TeacherCacheRef(from_step="distill", output="teacher_cache")
    return {
        "distill": distilled,
        "draft_target_text": distilled.model_copy(
            update={
                "name": "control draft on the target's text",
                "objective": "ce_target_text",
                "teacher_cache": cache,
            }
        ),
        "draft_gold": distilled.model_copy(
            update={
                "name": "control draft on gold answers",
                "objective": "ce_gold",
                "teacher_cache": cache,
            }
        ),
    }


def _benchmark(
    data: DemonstrationData, target: Reference, budget: Budget, seed: int
) -> SpeculativeDecodeSpec:
    drafts = {
        "distilled": "distill",
        "control_target_text": "draft_target_text",
        "control_gold": "draft_gold",
    }
    return SpeculativeDecodeSpec(
        name="decoding benchmark",
        seed=seed,
        target=target,
        arms=(
            *(
                DraftModelArm(name=name, model=Reference(from_step=step_id))
                for name, step_id in drafts.items()
            ),
            NGramArm(),
        ),
        prompts=data.rows(DomainTestRef, "domain_test", "domain_test", data.unseen("meta.doc_id")),
        num_prompts=budget.bench_prompts,
        max_new_tokens=budget.bench_new_tokens,
        num_repeats=budget.bench_repeats,
    )


def _evaluation(
    data: DemonstrationData, base_model: Reference, budget: Budget, seed: int
) -> EvaluateSpec:
    """Of the base; `_compared` makes those of the others from it."""
    return EvaluateSpec(
        seed=seed,
        model=base_model,
        base=base_model,
        text_overlap=TextOverlapSettings(
            dataset=data.rows(
                DomainTestRef, "domain_test", "domain_test", limit=budget.num_answers
            ),
            max_new_tokens=budget.max_new_tokens,
            unseen_documents=data.splits.unseen_documents,
        ),
        general_ability=GeneralAbilitySettings(
            dataset=data.rows(
                MultipleChoiceRef,
                "general_mcq",
                "multiple_choice",
                data.judged,
                limit=budget.num_questions,
            )
        ),
        gauge=GaugeSettings(
            prompts=data.rows(CorpusRef, "corpus_general", "corpus", data.judged),
            num_samples=budget.num_gauge_texts,
        ),
    )


def _compared(evaluation: EvaluateSpec, model: Reference) -> EvaluateSpec:
    """The same measurements of `model`, compared with the base's on the same items."""
    assert evaluation.gauge is not None  # noqa: S101 (`_evaluation` asks for it)
    texts = GaugeTextsRef(from_step="evaluate_base", output="gauge_texts")
    return evaluation.model_copy(
        update={
            "model": model,
            "baseline": SamplesRef(from_step="evaluate_base", output="samples"),
            "gauge": evaluation.gauge.model_copy(update={"texts": texts}),
        }
    )
