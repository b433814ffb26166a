"""What a target model wrote and how sure it was: the format that distillation learns from.

    teacher_cache/
      answers-00000.safetensors ...   one file for each generated batch
      manifest.json                   written last: the key, and the SHA-256 of every file

A file holds, for its rows one after another: prompt ids, answer ids (the stop token included) and,
at each answer position, the top-k token ids with their log-probabilities at temperature 1 (float16,
most probable first), the probability outside the top k, and the log-probability of the token that
was taken. At k = 64 and a vocabulary below 65,536 that is 264 bytes a token.

A cache belongs to its key (target, tokenizer, template, prompts, sampling): `open_teacher_cache`
refuses another one's.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
from pydantic import ValidationError
from safetensors.numpy import load_file
from transformers import PreTrainedTokenizerBase

from pipeline.contracts.base import Contract
from pipeline.contracts.manifest import file_sha256
from pipeline.contracts.references import Sha256
from pipeline.errors import TrainingError

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


class FileHeader(Contract):
    """What a file says of its rows, in its safetensors metadata under `about`."""

    key_digest: Sha256
    row_ids: tuple[str, ...]


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


def read_header(path: Path) -> FileHeader:
    """What the file says of its rows.

    Raises:
        OSError, SafetensorError, ValidationError: it is no complete file of a cache.
    """
    with safetensors.safe_open(path, framework="numpy") as file:
        return FileHeader.model_validate_json((file.metadata() or {}).get("about", ""))


def answers_path(directory: Path, index: int) -> Path:
    """Where the answers of the batch with this 0-based index lie."""
    return directory / f"answers-{index:05}.safetensors"


def _read_file(path: Path) -> Iterator[TeacherAnswer]:
    tensors = load_file(path)
    prompts = np.split(tensors["prompt_ids"], np.cumsum(tensors["prompt_lengths"])[:-1])
    ends = np.cumsum(tensors["answer_lengths"])
    for index, row_id in enumerate(read_header(path).row_ids):
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
