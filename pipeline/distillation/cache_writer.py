"""Writing a teacher cache: the target answers prompts, a batch at a time.

A cache that was being written when the run was killed is continued at the next batch.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from pipeline import durable
from pipeline.contracts.codec import digest
from pipeline.contracts.manifest import file_sha256
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.distillation.cache import (
    MANIFEST_NAME,
    CacheFile,
    TeacherAnswer,
    TeacherCacheKey,
    TeacherCacheManifest,
    TeacherPrompt,
    answers_path,
    read_header,
)
from pipeline.errors import StoppedAtCheckpoint
from pipeline.execution import RunContext


def write_teacher_cache(
    directory: Path,
    key: TeacherCacheKey,
    *,
    engine: Engine,
    prompts: Sequence[TeacherPrompt],
    stop_token_ids: tuple[int, ...],
    batch_size: int,
    context: RunContext,
) -> None:
    """`directory` holds a complete cache with at least `key.num_tokens` answer tokens.

    Prompts are answered in their order, a batch at a time, until that many tokens exist or the
    prompts end (then with a warning). Batches that an earlier, killed writing of the same key left
    are kept; what belongs to another key is removed.

    Raises:
        StoppedAtCheckpoint: a stop was requested; the batches so far are kept.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = _reusable_files(directory, key, num_rows=batch_size)
    for path in directory.iterdir():
        if path.name not in {file.name for file in files}:
            path.unlink()
    num_tokens = sum(file.num_tokens for file in files)
    progress = context.progress("answers", key.num_tokens, "tokens", done=num_tokens)
    while num_tokens < key.num_tokens:
        batch = prompts[len(files) * batch_size : (len(files) + 1) * batch_size]
        if not batch:
            context.warn(
                "train.too_few_prompts",
                f"all {len(prompts)} prompts gave {num_tokens} answer tokens, "
                f"{key.num_tokens} were asked for; give more prompts or raise max_new_tokens",
            )
            break
        if context.stop:
            raise StoppedAtCheckpoint(
                f"stopped on request after {num_tokens} answer tokens; run it again to go on"
            )
        params = SamplingParams(
            max_new_tokens=key.max_new_tokens,
            temperature=key.temperature,
            stop_token_ids=stop_token_ids,
            num_logprobs=key.top_k_logprobs,
            seed=_batch_seed(key.seed, len(files)),
        )
        completions = engine.generate([prompt.token_ids for prompt in batch], params)
        answers = [
            _teacher_answer(prompt, completion)
            for prompt, completion in zip(batch, completions, strict=True)
        ]
        files.append(_write_file(directory, len(files), answers, key, engine.vocab_size))
        num_tokens += files[-1].num_tokens
        progress.advance_to(min(num_tokens, key.num_tokens))
    manifest = TeacherCacheManifest(key=key, files=tuple(files))
    durable.write_bytes(
        directory / MANIFEST_NAME, manifest.model_dump_json(indent=2).encode() + b"\n"
    )


def _teacher_answer(prompt: TeacherPrompt, completion: Completion) -> TeacherAnswer:
    logprobs = np.array([position.logprobs for position in completion.logprobs], np.float32)
    topk_ids = np.array([position.token_ids for position in completion.logprobs], np.int64)
    tail_mass = 1.0 - np.exp(logprobs.astype(np.float64)).sum(axis=-1)
    return TeacherAnswer(
        row_id=prompt.row_id,
        prompt_ids=np.array(prompt.token_ids, np.int64),
        answer_ids=np.array(completion.token_ids, np.int64),
        topk_ids=topk_ids,
        topk_logprobs=logprobs,
        # Rounding makes the tail of a sure position slightly negative.
        tail_mass=np.maximum(tail_mass, 0.0).astype(np.float32),
        sampled_logprobs=np.array(
            [position.sampled_logprob for position in completion.logprobs], np.float32
        ),
    )


def _write_file(
    directory: Path,
    index: int,
    answers: Sequence[TeacherAnswer],
    key: TeacherCacheKey,
    vocab_size: int,
) -> CacheFile:
    id_type = np.uint16 if vocab_size <= 1 << 16 else np.int32
    tensors = {
        "prompt_lengths": np.array([len(answer.prompt_ids) for answer in answers], np.int32),
        "answer_lengths": np.array([len(answer.answer_ids) for answer in answers], np.int32),
        "prompt_ids": np.concatenate([answer.prompt_ids for answer in answers]).astype(id_type),
        "answer_ids": np.concatenate([answer.answer_ids for answer in answers]).astype(id_type),
        "topk_ids": np.concatenate([answer.topk_ids for answer in answers]).astype(id_type),
        "topk_logprobs": np.concatenate([a.topk_logprobs for a in answers]).astype(np.float16),
        "tail_mass": np.concatenate([answer.tail_mass for answer in answers]),
        "sampled_logprobs": np.concatenate([answer.sampled_logprobs for answer in answers]),
    }
    path = answers_path(directory, index)
    # One entry: the library writes several in random order, and equal answers must be equal bytes.
    about = {"key_digest": digest(key), "row_ids": [answer.row_id for answer in answers]}
    with durable.new_file(path) as partial:
        save_file(tensors, partial, metadata={"about": json.dumps(about)})
    return CacheFile(
        name=path.name,
        sha256=file_sha256(path),
        num_tokens=int(tensors["answer_lengths"].sum()),
    )


def _reusable_files(directory: Path, key: TeacherCacheKey, *, num_rows: int) -> list[CacheFile]:
    """The unbroken sequence of files from the first that were written for this key."""
    files: list[CacheFile] = []
    while True:
        path = answers_path(directory, len(files))
        try:
            header = read_header(path)
            lengths = load_file(path)["answer_lengths"]
        except (OSError, safetensors.SafetensorError, ValidationError):
            return files
        if header.key_digest != digest(key) or len(lengths) != num_rows:
            return files
        files.append(
            CacheFile(name=path.name, sha256=file_sha256(path), num_tokens=int(lengths.sum()))
        )


def _batch_seed(seed: int, batch: int) -> int:
    """Batches must not repeat each other's random numbers."""
    return (seed * 1_000_003 + batch) % 2**31
