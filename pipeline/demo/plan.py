"""The SOAEsV2 recipe on the demonstration data, as one plan.

    evaluate_base -> cpt -> evaluate_cpt
                     cpt -> sft_progressive  -> evaluate_sft_progressive
                     cpt -> sft_single_stage -> evaluate_sft_single_stage
                            sft_progressive  -> distill -> draft_target_text, draft_gold
                                                distill, drafts -> speculative_decode

Two documents of each topic are kept out of all training; passages of some general topic groups are
replayed and retention is judged on questions of the others (`examples/soae_demo/README.md`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.contracts.decoding_spec import (
    CombinedArm,
    DraftModelArm,
    NGramArm,
    SpeculativeDecodeSpec,
    StoreArm,
)
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
    RowFilter,
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
REPLAY_SHARE = 0.2
"""Of the tokens of continual pre-training."""
DRAFT_TOKENS = 4096
"""A draft may say these many of the target's frequent tokens (docs/distillation.md has why)."""
KEPT_CANDIDATES = 256
"""Of each token of the target's answers: 64 leave out a third of the probability at times."""
FineTuningArm = Literal["progressive", "single_stage", "expert_only"]
_FINE_TUNING_NAMES: Mapping[FineTuningArm, str] = {
    "progressive": "progressive fine-tuning",
    "single_stage": "single-stage control",
    "expert_only": "control on expert data alone",
}
TARGET_ANSWERS = TeacherCacheRef(from_step="distill", output="teacher_cache")
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
    num_gauge_texts: int = 40
    target_answer_tokens: int = 16_000
    draft_hidden_size: int = DraftArchitecture().hidden_size
    bench_prompts: int = 24
    bench_new_tokens: int = 64
    bench_repeats: int = 1


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
    evaluation = base_evaluation(data, base_model, budget, seed)
    specs: dict[str, RunSpec] = {
        "evaluate_base": evaluation,
        "cpt": continual_pretrain(data, base_model, budget, seed),
        "evaluate_cpt": compared(evaluation, cpt),
        "sft_progressive": fine_tuning(data, "progressive", budget, seed, start=cpt),
        "sft_single_stage": fine_tuning(data, "single_stage", budget, seed, start=cpt),
        "evaluate_sft_progressive": compared(evaluation, progressive),
        "evaluate_sft_single_stage": compared(evaluation, single_stage),
        **drafts(data, progressive, budget, seed),
        "speculative_decode": benchmark(data, progressive, budget, seed),
    }
    return PlanSpec(
        name=f"SOAEsV2 recipe, {lang} demonstration data",
        seed=seed,
        steps=plan_steps(specs),
    )


def plan_steps(specs: Mapping[str, RunSpec]) -> tuple[PlanStep, ...]:
    """The steps of a plan, by id, with the gates of their kind."""
    return tuple(
        PlanStep(
            id=step_id,
            spec=spec,
            gates=(LOSSLESS,) if isinstance(spec, SpeculativeDecodeSpec) else (),
        )
        for step_id, spec in specs.items()
    )


def _training_batch(budget: Budget) -> BatchSettings:
    return BatchSettings(max_seq_length=budget.max_seq_length, gradient_accumulation_steps=1)


def continual_pretrain(
    data: DemonstrationData,
    base_model: Reference,
    budget: Budget,
    seed: int,
    *,
    replay_share: float = REPLAY_SHARE,
) -> ContinualPretrainSpec:
    """Domain documents, with a share of the tokens from general passages."""
    domain = data.rows(CorpusRef, "corpus_domain", "corpus", data.seen("id"))
    general = data.rows(CorpusRef, "corpus_general", "corpus", data.replayed)
    sources = [MixtureSource(name="domain", weight=1 - replay_share, dataset=domain)]
    if replay_share:
        sources.append(MixtureSource(name="general_replay", weight=replay_share, dataset=general))
    return ContinualPretrainSpec(
        name=f"continual pre-training with{'' if replay_share else 'out'} general replay",
        seed=seed,
        model=base_model,
        num_tokens=budget.cpt_tokens,
        optimizer=TRAINING_OPTIMIZER,
        batch=_training_batch(budget),
        sources=tuple(sources),
        heldout=(data.rows(CorpusRef, "corpus_domain", "corpus", data.unseen("id")),),
    )


def fine_tuning(
    data: DemonstrationData,
    arm: FineTuningArm,
    budget: Budget,
    seed: int,
    *,
    start: Reference,
    learning_rate: float = TRAINING_OPTIMIZER.learning_rate,
    withheld: tuple[RowFilter, ...] = (),
) -> CurriculumSftSpec:
    """One of the arms that the claim of progressive fine-tuning compares.

    They have start, tokens and learning rate in common. Both controls have one schedule over all
    tokens: `single_stage` on the shuffled union of the data, `expert_only` on expert data alone.

    Args:
        withheld: expert questions that are kept out besides those on unseen documents.
    """
    expert = CurriculumStage(
        name="expert",
        num_tokens=budget.sft_stage_tokens,
        replay_fraction=0.05,
        datasets=(_expert_questions(data, *withheld),),
    )
    stages: tuple[CurriculumStage, ...]
    if arm == "expert_only":
        both = 2 * budget.sft_stage_tokens
        stages = (expert.model_copy(update={"num_tokens": both, "replay_fraction": 0.0}),)
    else:
        weak = CurriculumStage(
            name="weakly_relevant",
            num_tokens=budget.sft_stage_tokens,
            datasets=(data.rows(InstructionRef, "sft_weak", "conversations"),),
        )
        stages = (weak, expert)
    return CurriculumSftSpec(
        name=_FINE_TUNING_NAMES[arm],
        seed=seed,
        model=start,
        mode="progressive" if arm == "progressive" else "single_stage",
        optimizer=TRAINING_OPTIMIZER.model_copy(update={"learning_rate": learning_rate}),
        batch=_training_batch(budget),
        stages=stages,
    )


def _expert_questions(data: DemonstrationData, *where: RowFilter) -> InstructionRef:
    return data.rows(InstructionRef, "sft_expert", "domain_test", data.seen("meta.doc_id"), *where)


def drafts(
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
            top_k_logprobs=KEPT_CANDIDATES,
        ),
        draft=DraftArchitecture(
            hidden_size=budget.draft_hidden_size, num_output_tokens=DRAFT_TOKENS
        ),
        batch=BatchSettings(max_seq_length=budget.max_seq_length),
    )
    return {
        "distill": distilled,
        "draft_target_text": distilled.model_copy(
            update={
                "name": "control draft on the target's text",
                "objective": "ce_target_text",
                "teacher_cache": TARGET_ANSWERS,
            }
        ),
        "draft_gold": distilled.model_copy(
            update={
                "name": "control draft on gold answers",
                "objective": "ce_gold",
                "teacher_cache": TARGET_ANSWERS,
            }
        ),
    }


def benchmark(
    data: DemonstrationData, target: Reference, budget: Budget, seed: int
) -> SpeculativeDecodeSpec:
    """Every way of drafting, the distilled draft first: what is claimed of it is never lookup's.

    Lookup in stored answers, alone and before the distilled draft, has training rows and what the
    target said to their questions; all prompts are on documents that no training has read.
    """
    drafts = {
        "distilled": "distill",
        "control_target_text": "draft_target_text",
        "control_gold": "draft_gold",
    }
    answers = _expert_questions(data)
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
            StoreArm(dataset=answers, teacher_cache=TARGET_ANSWERS),
            CombinedArm(
                model=Reference(from_step="distill"),
                dataset=answers,
                teacher_cache=TARGET_ANSWERS,
            ),
        ),
        prompts=data.rows(DomainTestRef, "unseen_questions", "domain_test"),
        num_prompts=budget.bench_prompts,
        max_new_tokens=budget.bench_new_tokens,
        num_repeats=budget.bench_repeats,
    )


def base_evaluation(
    data: DemonstrationData, base_model: Reference, budget: Budget, seed: int
) -> EvaluateSpec:
    """Of the base; `compared` makes those of the others from it."""
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


def compared(evaluation: EvaluateSpec, model: Reference) -> EvaluateSpec:
    """The same measurements of `model`, compared with the base's on the same items."""
    assert evaluation.gauge is not None  # noqa: S101 (`base_evaluation` asks for it)
    texts = GaugeTextsRef(from_step="evaluate_base", output="gauge_texts")
    return evaluation.model_copy(
        update={
            "model": model,
            "baseline": SamplesRef(from_step="evaluate_base", output="samples"),
            "gauge": evaluation.gauge.model_copy(update={"texts": texts}),
        }
    )
