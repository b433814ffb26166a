"""Phase 3: a small draft learns to predict its target, for speculative decoding.

Stages: `answers` (the target answers the prompts; skipped when a cache is given or was already
written), `train`, `acceptance` (what the draft would gain, on answers it was not trained on).

Results: `contracts.training_results.LogitDistillResults`.
Outputs: `model` (a complete checkpoint with the target's tokenizer) and `teacher_cache`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.contracts.distillation_spec import LogitDistillSpec
from pipeline.contracts.training_results import LogitDistillResults, TeacherAnswerFigures
from pipeline.data.datasets import dataset_digest, read_rows
from pipeline.data.records import Conversation, DomainItem
from pipeline.distillation.acceptance import DEFINITION, hold_back, measure_acceptance
from pipeline.distillation.answers import teacher_answers, teacher_prompts
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.objectives import loss_function, plan_batches
from pipeline.execution import RecipeResult, RunContext
from pipeline.modeling.draft import build_draft
from pipeline.modeling.loading import load_tokenizer
from pipeline.training.loop import train
from pipeline.training.losses import require_linear_head
from pipeline.training.phases import Phase
from pipeline.training.schedule import warmup_stable_decay
from pipeline.training.session import open_session


def run(spec: LogitDistillSpec, context: RunContext) -> RecipeResult:
    """The draft has been trained and its acceptance on held-back answers is known.

    Raises:
        PipelineError: of the reader, the loader, the engine, the cache and the loop.
    """
    tokenizer = load_tokenizer(Path(spec.target.resolved_path))
    records = _records(spec)
    prompts = teacher_prompts(records.values(), tokenizer, spec)
    cache_path, answers = teacher_answers(spec, prompts, tokenizer, context)
    trained, heldback = hold_back(answers)

    session = open_session(spec, spec.target, context)
    model = session.model
    if session.resume is None:
        require_linear_head(model)
        model = build_draft(
            model,
            num_layers=spec.draft.num_layers,
            hidden_size=spec.draft.hidden_size,
            seed=spec.seed,
        )
    batches = plan_batches(spec, trained, records, tokenizer)
    result = train(
        model,
        tokenizer,
        [
            Phase(
                name="train",
                batches=batches,
                loss_fn=loss_function(spec),
                learning_rate=warmup_stable_decay(spec.optimizer, batches.num_steps),
            )
        ],
        session.settings,
        context,
        resume=session.resume,
    )
    return RecipeResult(
        results=LogitDistillResults(
            **dict(result.phases[0].results()),
            objective=spec.objective,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            answers=_answer_figures(answers, trained),
            acceptance=measure_acceptance(model, heldback, context),
        ),
        outputs={"model": result.model_path, "teacher_cache": cache_path},
        inputs={
            "target": session.model_digest,
            "answers.prompts": dataset_digest(Path(spec.answers.prompts.resolved_path)),
        },
        definitions={"acceptance": DEFINITION},
    )


def _records(spec: LogitDistillSpec) -> dict[str, Conversation | DomainItem]:
    records = read_rows(spec.answers.prompts, (Conversation, DomainItem))
    return {record.id: record for record in records}


def _answer_figures(
    answers: Sequence[TeacherAnswer], trained: Sequence[TeacherAnswer]
) -> TeacherAnswerFigures:
    tails = np.concatenate([answer.tail_mass for answer in answers])
    return TeacherAnswerFigures(
        n=len(answers),
        tokens=sum(len(answer.answer_ids) for answer in answers),
        n_trained=len(trained),
        tokens_trained=sum(len(answer.answer_ids) for answer in trained),
        tail_mass_p95=float(np.quantile(tails, 0.95)),
    )
