"""The target's answers a draft learns from: what is asked, and the cache they come from."""

import shutil
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from pipeline.contracts.distillation_spec import LogitDistillSpec
from pipeline.data.records import Conversation, DomainItem
from pipeline.data.tokenize import ChatFormat, stop_token_ids
from pipeline.decoding.engines import open_engine
from pipeline.distillation.cache import (
    TeacherAnswer,
    TeacherCacheKey,
    TeacherPrompt,
    open_teacher_cache,
    prompts_digest,
    tokenizer_digest,
)
from pipeline.distillation.cache_writer import write_teacher_cache
from pipeline.durable import new_directory
from pipeline.errors import DataError, TrainingError
from pipeline.execution import RunContext
from pipeline.modeling.device import choose_device
from pipeline.provenance import path_digest

CACHE_NAME = "teacher_cache"


def teacher_prompts(
    records: Iterable[Conversation | DomainItem],
    tokenizer: PreTrainedTokenizerBase,
    spec: LogitDistillSpec,
) -> list[TeacherPrompt]:
    """What the target is asked, in a seeded order: files are often sorted by topic.

    Raises:
        DataError: `data.row_invalid` for a prompt that leaves no room for its answer.
    """
    chat_format = ChatFormat(tokenizer)
    longest = spec.batch.max_seq_length - spec.answers.max_new_tokens
    prompts = []
    for record in records:
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


def teacher_answers(
    spec: LogitDistillSpec,
    prompts: Sequence[TeacherPrompt],
    tokenizer: PreTrainedTokenizerBase,
    context: RunContext,
) -> tuple[Path, list[TeacherAnswer]]:
    """A complete cache for this spec inside the run directory, and the answers it holds.

    It is the cache the spec names, or one an earlier attempt completed, or a new one.

    Raises:
        TrainingError: `train.teacher_cache_mismatch` or `train.teacher_cache_corrupt` for the
            cache the spec names.
        StoppedAtCheckpoint: a stop was requested; the answers so far are kept.
    """
    key = _key(spec, prompts, tokenizer)
    path = context.run_dir / CACHE_NAME
    source = _existing_cache(spec, path, key, context)
    if source is None:
        _write(spec, path, key, prompts, tokenizer, context)
    elif source != path:
        # Copied, so that a run's outputs lie in its own directory and outlive their source.
        with new_directory(path) as partial:
            shutil.copytree(source, partial, dirs_exist_ok=True)
    return path, open_teacher_cache(path, key)


def _key(
    spec: LogitDistillSpec, prompts: Sequence[TeacherPrompt], tokenizer: PreTrainedTokenizerBase
) -> TeacherCacheKey:
    return TeacherCacheKey(
        target_digest=path_digest(Path(spec.target.resolved_path)),
        tokenizer_digest=tokenizer_digest(tokenizer),
        template_digest=sha256(str(tokenizer.chat_template).encode()).hexdigest(),
        prompts_digest=prompts_digest(prompts),
        num_tokens=spec.answers.num_tokens,
        max_new_tokens=spec.answers.max_new_tokens,
        temperature=spec.answers.temperature,
        top_k_logprobs=spec.answers.top_k_logprobs,
        seed=spec.seed,
    )


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


def _write(
    spec: LogitDistillSpec,
    path: Path,
    key: TeacherCacheKey,
    prompts: Sequence[TeacherPrompt],
    tokenizer: PreTrainedTokenizerBase,
    context: RunContext,
) -> None:
    with open_engine(
        "auto",
        Path(spec.target.resolved_path),
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
