"""Phase 3: a small draft learns to predict its target, for speculative decoding.

Stages: `answers` (the target answers the prompts; skipped when a cache is given or was already
written), `train`, `acceptance` (what the draft would gain, on answers it was not trained on).

Results: `contracts.training_results.LogitDistillResults`.
Outputs: `model` (a complete checkpoint with the target's tokenizer) and `teacher_cache`.
"""

import shutil
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.distillation_spec import LogitDistillSpec
from pipeline.contracts.training_results import (
    AcceptanceFigures,
    LogitDistillResults,
    TeacherAnswerFigures,
)
from pipeline.data.datasets import dataset_digest, read_rows
from pipeline.data.records import Conversation, DomainItem
from pipeline.data.tokenize import (
    IGNORED_LABEL,
    ChatFormat,
    TokenizedRow,
    stop_token_ids,
    tokenize_conversations,
)
from pipeline.decoding.engines import open_engine
from pipeline.decoding.simulator import simulate_rounds
from pipeline.errors import DataError, TrainingError
from pipeline.execution import RecipeResult, RunContext
from pipeline.modeling.device import choose_device
from pipeline.modeling.draft import build_draft
from pipeline.modeling.loading import load_tokenizer
from pipeline.provenance import path_digest
from pipeline.training.distillation_batches import (
    DistillationBatch,
    DistillationBatches,
    distillation_loss,
)
from pipeline.training.loop import train
from pipeline.training.losses import cross_entropy_loss, require_linear_head
from pipeline.training.phases import LossFunction, Phase
from pipeline.training.schedule import warmup_stable_decay
from pipeline.training.session import open_session
from pipeline.training.teacher_cache import (
    TeacherAnswer,
    TeacherCacheKey,
    TeacherPrompt,
    open_teacher_cache,
    prompts_digest,
    tokenizer_digest,
    write_teacher_cache,
)

HELDBACK_EVERY = 8
"""Every eighth answer is never trained on, whatever the objective; acceptance is measured there."""
DRAFT_LENGTHS = range(1, 7)
CACHE_NAME = "teacher_cache"


def run(spec: LogitDistillSpec, context: RunContext) -> RecipeResult:
    """The draft has been trained and its acceptance on held-back answers is known.

    Raises:
        PipelineError: of the reader, the loader, the engine, the cache and the loop.
    """
    tokenizer = load_tokenizer(Path(spec.target.resolved_path))
    records = _records(spec)
    prompts = _prompts(records, tokenizer, spec)
    cache_path, key = _teacher_cache(spec, prompts, tokenizer, context)
    answers = open_teacher_cache(cache_path, key)
    heldback, trained = answers[::HELDBACK_EVERY], _trained(answers)

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
    batches = _batches(spec, trained, records, tokenizer)
    result = train(
        model,
        tokenizer,
        [
            Phase(
                name="train",
                batches=batches,
                loss_fn=_loss_function(spec),
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
            acceptance=_acceptance(model, heldback, context),
        ),
        outputs={"model": result.model_path, "teacher_cache": cache_path},
        inputs={
            "target": session.model_digest,
            "answers.prompts": dataset_digest(Path(spec.answers.prompts.resolved_path)),
        },
        definitions={"acceptance": "greedy agreement, every eighth answer, prefixes of the target"},
    )


def _records(spec: LogitDistillSpec) -> dict[str, Conversation | DomainItem]:
    records = read_rows(spec.answers.prompts, (Conversation, DomainItem))
    return {record.id: record for record in records}


def _prompts(
    records: dict[str, Conversation | DomainItem],
    tokenizer: PreTrainedTokenizerBase,
    spec: LogitDistillSpec,
) -> list[TeacherPrompt]:
    """What the target is asked, in a seeded order: files are often sorted by topic."""
    chat_format = ChatFormat(tokenizer)
    longest = spec.batch.max_seq_length - spec.answers.max_new_tokens
    prompts = []
    for record in records.values():
        token_ids = chat_format.prompt(record.to_messages()[:-1])
        if len(token_ids) > longest:
            raise DataError(
                "data.row_invalid",
                f"the prompt of row {record.id!r} has {len(token_ids)} tokens; with "
                f"answers.max_new_tokens {spec.answers.max_new_tokens} that exceeds "
                f"batch.max_seq_length {spec.batch.max_seq_length}: raise it or drop the row",
            )
        prompts.append(TeacherPrompt(row_id=record.id, token_ids=tuple(token_ids)))
    order = np.random.default_rng(spec.seed).permutation(len(prompts))
    return [prompts[index] for index in order]


def _teacher_cache(
    spec: LogitDistillSpec,
    prompts: Sequence[TeacherPrompt],
    tokenizer: PreTrainedTokenizerBase,
    context: RunContext,
) -> tuple[Path, TeacherCacheKey]:
    """A complete cache for this spec inside the run directory, and the key it must have."""
    target = Path(spec.target.resolved_path)
    key = TeacherCacheKey(
        target_digest=path_digest(target),
        tokenizer_digest=tokenizer_digest(tokenizer),
        template_digest=sha256(str(tokenizer.chat_template).encode()).hexdigest(),
        prompts_digest=prompts_digest(prompts),
        num_tokens=spec.answers.num_tokens,
        max_new_tokens=spec.answers.max_new_tokens,
        temperature=spec.answers.temperature,
        top_k_logprobs=spec.answers.top_k_logprobs,
        seed=spec.seed,
    )
    path = context.run_dir / CACHE_NAME
    source = _existing_cache(spec, path, key, context)
    if source is not None:
        if source != path:
            # Copied, so that a run's outputs lie in its own directory and outlive their source.
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(source, path)
        return path, key
    with open_engine(
        "auto",
        target,
        device=choose_device(spec.device),
        dtype=spec.dtype,
        max_logprobs=key.top_k_logprobs,
    ) as engine:
        write_teacher_cache(
            path,
            key,
            engine=engine,
            prompts=prompts,
            stop_token_ids=stop_token_ids(tokenizer),
            batch_size=spec.answers.batch_size,
            context=context,
        )
    return path, key


def _existing_cache(
    spec: LogitDistillSpec, path: Path, key: TeacherCacheKey, context: RunContext
) -> Path | None:
    """The cache the spec names, or the one an earlier attempt completed, or None."""
    if spec.teacher_cache is not None:
        named = Path(spec.teacher_cache.resolved_path)
        open_teacher_cache(named, key)
        return named
    candidates = [path]
    if context.resume_from is not None:
        # An attempt has a run directory of its own; its checkpoints lie two levels below it.
        candidates.append(context.resume_from.parents[1] / CACHE_NAME)
    for candidate in candidates:
        try:
            open_teacher_cache(candidate, key)
        except TrainingError:
            continue  # absent, unfinished or of another spec: written again
        return candidate
    return None


def _trained(answers: Sequence[TeacherAnswer]) -> list[TeacherAnswer]:
    trained = [answer for index, answer in enumerate(answers) if index % HELDBACK_EVERY]
    if not trained:
        raise DataError(
            "data.empty",
            f"the cache holds {len(answers)} answer, and one is held back to measure acceptance; "
            "raise answers.num_tokens or give more prompts",
        )
    return trained


def _batches(
    spec: LogitDistillSpec,
    answers: Sequence[TeacherAnswer],
    records: dict[str, Conversation | DomainItem],
    tokenizer: PreTrainedTokenizerBase,
) -> DistillationBatches:
    gold = None
    if spec.objective == "ce_gold":
        gold = [
            _gold_row(records[answer.row_id], len(answer.prompt_ids), tokenizer, spec)
            for answer in answers
        ]
    return DistillationBatches(
        answers,
        num_epochs=spec.num_epochs,
        max_seq_length=spec.batch.max_seq_length,
        rows_per_step=spec.batch.gradient_accumulation_steps,
        seed=spec.seed,
        gold=gold,
        with_targets=spec.objective == "forward_kl",
    )


def _gold_row(
    record: Conversation | DomainItem,
    num_prompt_tokens: int,
    tokenizer: PreTrainedTokenizerBase,
    spec: LogitDistillSpec,
) -> TokenizedRow:
    """The same prompt with the data's own answer; of a conversation only the last turn counts."""
    (row,) = tokenize_conversations([record], tokenizer)
    labels = row.labels.copy()
    labels[:num_prompt_tokens] = IGNORED_LABEL
    end = spec.batch.max_seq_length
    return TokenizedRow(id=row.id, input_ids=row.input_ids[:end], labels=labels[:end])


def _loss_function(spec: LogitDistillSpec) -> LossFunction[DistillationBatch]:
    if spec.objective == "forward_kl":
        return partial(distillation_loss, kl_weight=spec.kl_weight)
    return lambda model, batch: cross_entropy_loss(model, batch.packed)


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


def _acceptance(
    model: PreTrainedModel, answers: Sequence[TeacherAnswer], context: RunContext
) -> AcceptanceFigures:
    progress = context.progress("acceptance", len(answers), "answers")
    agreements = []
    for answer in answers:
        agreements.append(_agreement(model, answer))
        progress.advance()
    after_first = [agreement[1:] for agreement in agreements]  # prefill gives the first token
    return AcceptanceFigures(
        n=len(answers),
        tokens=sum(len(agreement) for agreement in agreements),
        greedy_agreement=float(np.concatenate(agreements).mean()),
        block_efficiency={
            str(length): simulate_rounds(
                after_first, num_speculative_tokens=length
            ).block_efficiency
            for length in DRAFT_LENGTHS
            if any(len(flags) for flags in after_first)
        },
    )


def _agreement(model: PreTrainedModel, answer: TeacherAnswer) -> NDArray[np.bool_]:
    """bool [A]: the draft's argmax is the target's, given the target's tokens before it."""
    ids = np.concatenate([answer.prompt_ids, answer.answer_ids[:-1]])
    num_positions = len(answer.answer_ids)
    with torch.inference_mode():
        logits = model(
            input_ids=torch.from_numpy(ids)[None].to(model.device),
            use_cache=False,
            logits_to_keep=num_positions,
        ).logits
    predicted = logits[0].argmax(-1).cpu().numpy()
    agreement: NDArray[np.bool_] = predicted == answer.topk_ids[:, 0]
    return agreement
