"""Phase 3: a small draft learns to predict its target, for speculative decoding.

Stages: `answers` (the target answers the prompts; skipped when a cache is given or was already
written), `train`, `acceptance` (what the draft would gain, on answers it was not trained on).

Results: `contracts.training_results.LogitDistillResults`.
Outputs: `model` (a complete checkpoint with the target's tokenizer) and `teacher_cache`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.distillation_spec import CONTROLS, LogitDistillSpec
from pipeline.contracts.training_results import LogitDistillResults, TeacherAnswerFigures
from pipeline.data.datasets import dataset_digest, read_rows
from pipeline.data.records import Conversation, DomainItem
from pipeline.data.tokenize import stop_token_ids
from pipeline.distillation.acceptance import definition, hold_back, measure_acceptance
from pipeline.distillation.answers import teacher_answers, teacher_prompts
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.early_stop import choose_by_speedup, early_stop_figures
from pipeline.distillation.objectives import loss_function, plan_batches
from pipeline.distillation.output_layer import OutputLayer
from pipeline.distillation.vocabulary import frequent_tokens, vocabulary_figures
from pipeline.execution import RecipeResult, RunContext
from pipeline.modeling.draft import build_draft, cut_draft
from pipeline.modeling.draft_vocabulary import DRAFT_VOCABULARY_NAME, draft_vocabulary_document
from pipeline.modeling.inspection import read_model
from pipeline.modeling.loading import load_tokenizer
from pipeline.training.loop import train
from pipeline.training.losses import require_linear_head
from pipeline.training.phases import Phase
from pipeline.training.schedule import warmup_stable_decay
from pipeline.training.session import open_session

LARGE_TAIL_MASS = 0.25
"""Of `tail_mass_p95`: above it a person is told."""


def run(spec: LogitDistillSpec, context: RunContext) -> RecipeResult:
    """The draft has been trained and its acceptance on held-back answers is known.

    Raises:
        PipelineError: of the reader, the loader, the engine, the cache and the loop.
    """
    tokenizer = load_tokenizer(Path(spec.target.resolved_path))
    records = _records(spec)
    prompts = teacher_prompts(records.values(), tokenizer, spec)
    cache_path, answers = teacher_answers(spec, prompts, tokenizer, context)
    _warn_of_large_tails(answers, spec, context)
    parts = hold_back(answers, is_choosing=spec.early_stop is not None)

    output_tokens = _output_tokens(spec, parts.trained, tokenizer)
    output = OutputLayer(output_tokens)
    selection = (
        None
        if spec.early_stop is None
        else choose_by_speedup(spec.early_stop, parts.choosing, output, spec.answers.temperature)
    )

    session = open_session(spec, spec.target, context)
    model = session.model
    if session.resume is None:
        require_linear_head(model)
        model = _new_draft(spec, model)
    batches = plan_batches(spec, parts.trained, records, tokenizer)
    result = train(
        model,
        tokenizer,
        [
            Phase(
                name="train",
                batches=batches,
                loss_fn=loss_function(spec, output),
                learning_rate=warmup_stable_decay(spec.optimizer, batches.num_steps),
            )
        ],
        replace(session.settings, documents=_documents(output_tokens)),
        context,
        resume=session.resume,
        selection=selection,
    )
    return RecipeResult(
        results=LogitDistillResults(
            **dict(result.phases[0].results()),
            objective=spec.objective,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            answers=_answer_figures(answers, parts.trained),
            acceptance=measure_acceptance(
                model, parts.heldback, output, context, temperature=spec.answers.temperature
            ),
            vocabulary=None
            if output_tokens is None
            else vocabulary_figures(output_tokens, parts.trained, parts.heldback),
            early_stop=None if selection is None else early_stop_figures(selection, parts.choosing),
        ),
        outputs={"model": result.model_path, "teacher_cache": cache_path},
        inputs={
            "target": session.model_digest,
            "answers.prompts": dataset_digest(Path(spec.answers.prompts.resolved_path)),
        },
        definitions={"acceptance": definition(spec.answers.temperature)},
    )


def _new_draft(spec: LogitDistillSpec, target: PreTrainedModel) -> PreTrainedModel:
    shape = spec.draft
    if shape.init == "target_layers":
        return cut_draft(target, num_layers=shape.num_layers, hidden_size=shape.hidden_size)
    return build_draft(
        target, num_layers=shape.num_layers, hidden_size=shape.hidden_size, seed=spec.seed
    )


def _output_tokens(
    spec: LogitDistillSpec, answers: Sequence[TeacherAnswer], tokenizer: PreTrainedTokenizerBase
) -> np.ndarray | None:
    """The tokens the draft may say; None for all of them."""
    size = spec.draft.num_output_tokens
    vocab_size = read_model(Path(spec.target.resolved_path)).facts.vocab_size
    if size is None or size >= vocab_size:
        return None
    return frequent_tokens(
        answers, size, vocab_size=vocab_size, stop_token_ids=stop_token_ids(tokenizer)
    )


def _documents(output_tokens: np.ndarray | None) -> dict[str, bytes]:
    if output_tokens is None:
        return {}
    return {DRAFT_VOCABULARY_NAME: draft_vocabulary_document(output_tokens.tolist())}


def _records(spec: LogitDistillSpec) -> dict[str, Conversation | DomainItem]:
    records = read_rows(spec.answers.prompts, (Conversation, DomainItem))
    return {record.id: record for record in records}


def _tail_mass_p95(answers: Sequence[TeacherAnswer]) -> float:
    return float(np.quantile(np.concatenate([answer.tail_mass for answer in answers]), 0.95))


def _warn_of_large_tails(
    answers: Sequence[TeacherAnswer], spec: LogitDistillSpec, context: RunContext
) -> None:
    found = _tail_mass_p95(answers)
    if found > LARGE_TAIL_MASS and spec.objective not in (*CONTROLS, "ce_argmax"):
        context.warn(
            "train.tail_mass_large",
            f"at one position in twenty the {spec.answers.top_k_logprobs} kept tokens leave out "
            f"{found:.2f} of the target's probability or more; the draft learns that part as one "
            "bucket: raise answers.top_k_logprobs",
        )


def _answer_figures(
    answers: Sequence[TeacherAnswer], trained: Sequence[TeacherAnswer]
) -> TeacherAnswerFigures:
    return TeacherAnswerFigures(
        n=len(answers),
        tokens=sum(len(answer.answer_ids) for answer in answers),
        n_trained=len(trained),
        tokens_trained=sum(len(answer.answer_ids) for answer in trained),
        tail_mass_p95=_tail_mass_p95(answers),
    )
