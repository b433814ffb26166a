"""What a target model wrote and how sure it was: the one format for distillation and KL replay.

    teacher_cache/
      answers-00000.safetensors ...   one file for each generated batch
      manifest.json                   written last: the key, and the SHA-256 of every file

A file holds, for its rows one after another: prompt ids, answer ids (the stop token included) and,
at each answer position, the top-k token ids with their log-probabilities at temperature 1 (float16,
most probable first), the probability outside the top k, and the log-probability of the token that
was taken. At k = 64 and a vocabulary below 65,536 that is 264 bytes a token.

A cache belongs to its key (target, tokenizer, template, prompts, sampling): `open` refuses another
one's. A cache that was being written when the run was killed is continued at the next batch.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file
from transformers import PreTrainedTokenizerBase

from pipeline.contracts.base import Contract
from pipeline.contracts.codec import digest
from pipeline.contracts.manifest import file_sha256
from pipeline.contracts.references import Sha256
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.errors import StoppedAtCheckpoint, TrainingError
from pipeline.execution import RunContext

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherPrompt:
    """What the target is asked."""

    row_id: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherAnswer:
    """One prompt and the target's answer to it, with A answer tokens and k kept candidates."""

    row_id: str
    prompt_ids: np.ndarray
    """int64 [P]."""
    answer_ids: np.ndarray
    """int64 [A], the stop token included."""
    topk_ids: np.ndarray
    """int64 [A, k], most probable first; column 0 is the target's argmax."""
    topk_logprobs: np.ndarray
    """float32 [A, k], natural logarithms at temperature 1."""
    tail_mass: np.ndarray
    """float32 [A], the probability of all other tokens."""
    sampled_logprobs: np.ndarray
    """float32 [A], of the tokens of `answer_ids`."""


class TeacherCacheKey(Contract):
    """What a cache's content depends on."""

    v: int = FORMAT_VERSION
    target_digest: Sha256
    tokenizer_digest: Sha256
    template_digest: Sha256
    prompts_digest: Sha256
    num_tokens: int
    max_new_tokens: int
    temperature: float
    top_k_logprobs: int
    seed: int


class CacheFile(Contract):
    """One file of the cache."""

    name: str
    sha256: Sha256
    num_tokens: int
    """Answer tokens in it."""


class TeacherCacheManifest(Contract):
    """What a complete cache holds."""

    key: TeacherCacheKey
    files: tuple[CacheFile, ...]


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 of the vocabulary: the same tokens have the same ids."""
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items()), separators=(",", ":"))
    return hashlib.sha256(vocabulary.encode()).hexdigest()


def prompts_digest(prompts: Sequence[TeacherPrompt]) -> str:
    """SHA-256 of all prompts, in order."""
    content = hashlib.sha256()
    for prompt in prompts:
        content.update(f"{prompt.row_id}\0{prompt.token_ids}\n".encode())
    return content.hexdigest()


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
    _write_durably(directory / MANIFEST_NAME, manifest.model_dump_json(indent=2).encode() + b"\n")


def open_teacher_cache(directory: Path, key: TeacherCacheKey) -> list[TeacherAnswer]:
    """The answers of a complete cache, every file verified, in the order they were written.

    Raises:
        TrainingError: `train.teacher_cache_mismatch` for a cache of another target, tokenizer,
            template, prompts or sampling; `train.teacher_cache_corrupt` for one that is
            incomplete or was changed.
    """
    manifest = read_manifest(directory)
    differing = [
        name for name, wanted in key.model_dump().items() if getattr(manifest.key, name) != wanted
    ]
    if differing:
        raise TrainingError(
            "train.teacher_cache_mismatch",
            f"{directory} was written for other values of {', '.join(differing)} than this run "
            "has; leave out teacher_cache to write a new one",
        )
    answers: list[TeacherAnswer] = []
    for file in manifest.files:
        path = directory / file.name
        if not path.is_file() or file_sha256(path) != file.sha256:
            raise TrainingError(
                "train.teacher_cache_corrupt",
                f"{path} is missing or differs from its manifest; write the cache again",
            )
        answers.extend(_read_file(path))
    return answers


def read_manifest(directory: Path) -> TeacherCacheManifest:
    """The manifest of a complete cache.

    Raises:
        TrainingError: `train.teacher_cache_corrupt` when there is none or it cannot be read.
    """
    path = directory / MANIFEST_NAME
    try:
        return TeacherCacheManifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise TrainingError(
            "train.teacher_cache_corrupt",
            f"{path} is missing or unreadable, so {directory} is no complete cache; leave out "
            "teacher_cache to write a new one",
        ) from exc


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
    path = directory / f"answers-{index:05}.safetensors"
    partial = directory / f".{path.name}.partial"
    # One entry: the library writes several in random order, and equal answers must be equal bytes.
    about = {"key_digest": digest(key), "row_ids": [answer.row_id for answer in answers]}
    save_file(tensors, partial, metadata={"about": json.dumps(about)})
    _publish(partial, path)
    return CacheFile(
        name=path.name,
        sha256=file_sha256(path),
        num_tokens=int(tensors["answer_lengths"].sum()),
    )


def _read_file(path: Path) -> Iterator[TeacherAnswer]:
    tensors = load_file(path)
    prompts = np.split(tensors["prompt_ids"], np.cumsum(tensors["prompt_lengths"])[:-1])
    ends = np.cumsum(tensors["answer_lengths"])
    for index, row_id in enumerate(_about(path)["row_ids"]):
        positions = slice(ends[index] - tensors["answer_lengths"][index], ends[index])
        yield TeacherAnswer(
            row_id=row_id,
            prompt_ids=prompts[index].astype(np.int64),
            answer_ids=tensors["answer_ids"][positions].astype(np.int64),
            topk_ids=tensors["topk_ids"][positions].astype(np.int64),
            topk_logprobs=tensors["topk_logprobs"][positions].astype(np.float32),
            tail_mass=tensors["tail_mass"][positions],
            sampled_logprobs=tensors["sampled_logprobs"][positions],
        )


def _reusable_files(directory: Path, key: TeacherCacheKey, *, num_rows: int) -> list[CacheFile]:
    """The unbroken sequence of files from the first that were written for this key."""
    files: list[CacheFile] = []
    while True:
        path = directory / f"answers-{len(files):05}.safetensors"
        try:
            key_digest = _about(path).get("key_digest")
            lengths = load_file(path)["answer_lengths"]
        except (OSError, safetensors.SafetensorError):
            return files
        if key_digest != digest(key) or len(lengths) != num_rows:
            return files
        files.append(
            CacheFile(name=path.name, sha256=file_sha256(path), num_tokens=int(lengths.sum()))
        )


def _about(path: Path) -> dict[str, Any]:
    with safetensors.safe_open(path, framework="numpy") as file:
        about: dict[str, Any] = json.loads((file.metadata() or {}).get("about", "{}"))
    return about


def _batch_seed(seed: int, batch: int) -> int:
    """Batches must not repeat each other's random numbers."""
    return (seed * 1_000_003 + batch) % 2**31


def _write_durably(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    _publish(partial, path)


def _publish(partial: Path, path: Path) -> None:
    """`path` is `partial`'s content, whole and on disk."""
    _fsync(partial)
    partial.rename(path)
    _fsync(path.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
