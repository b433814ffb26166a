"""The teacher cache: what the engine said, durable, resumable, and refused for anything else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.contracts.events import Payload, RunWarning
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.distillation.cache import (
    TeacherCacheKey,
    TeacherPrompt,
    open_teacher_cache,
    prompts_digest,
    tokenizer_digest,
)
from pipeline.distillation.cache_writer import write_teacher_cache
from pipeline.errors import StoppedAtCheckpoint, TrainingError
from pipeline.execution import RunContext
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer

TOP_K = 8
BATCH_SIZE = 4


class Recorder:
    """An event sink that keeps what it was given and can request a stop."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []

    def emit(self, payload: Payload) -> None:
        self.payloads.append(payload)


class StoppingEngine:
    """A real engine that requests a stop, or dies, after some batches."""

    def __init__(self, context: RunContext, *, after: int, dies: bool = False) -> None:
        self._engine = AutoregressiveEngine(tiny_llama())
        self._context, self._left, self._dies = context, after, dies
        self.name, self.vocab_size = self._engine.name, self._engine.vocab_size
        self.num_calls = 0

    def generate(self, prompts, params):
        if self._left == 0:
            raise KeyboardInterrupt
        completions = self._engine.generate(prompts, params)
        self._left -= 1
        self.num_calls += 1
        if self._left == 0 and not self._dies:
            self._context.stop.set()
        return completions


@pytest.fixture
def run_context(tmp_path: Path) -> RunContext:
    return RunContext(run_dir=tmp_path, spec_digest="0" * 64, events=Recorder())


@pytest.fixture
def prompts() -> list[TeacherPrompt]:
    generator = torch.Generator().manual_seed(0)
    return [
        TeacherPrompt(
            row_id=f"r{i}",
            token_ids=tuple(torch.randint(3, 259, (3 + i % 5,), generator=generator).tolist()),
        )
        for i in range(20)
    ]


def cache_key(prompts: list[TeacherPrompt], **changes: object) -> TeacherCacheKey:
    fields = {
        "target_digest": "1" * 64,
        "tokenizer_digest": tokenizer_digest(tiny_tokenizer()),
        "template_digest": "2" * 64,
        "prompts_digest": prompts_digest(prompts),
        "num_tokens": 100,
        "max_new_tokens": 10,
        "temperature": 0.0,
        "top_k_logprobs": TOP_K,
        "seed": 3,
    }
    return TeacherCacheKey(**{**fields, **changes})


def write(directory, key, prompts, context, engine=None):
    write_teacher_cache(
        directory,
        key,
        engine=engine or AutoregressiveEngine(tiny_llama()),
        prompts=prompts,
        stop_token_ids=(2,),
        batch_size=BATCH_SIZE,
        context=context,
    )


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_cached_distributions_are_the_models(
    tmp_path: Path, run_context: RunContext, prompts: list[TeacherPrompt]
) -> None:
    key = cache_key(prompts)
    write(tmp_path / "cache", key, prompts, run_context)
    answers = open_teacher_cache(tmp_path / "cache", key)
    assert [answer.row_id for answer in answers] == [p.row_id for p in prompts[: len(answers)]]
    assert 100 <= sum(len(answer.answer_ids) for answer in answers) < 100 + 10 * BATCH_SIZE
    model = tiny_llama()
    for answer, prompt in zip(answers, prompts, strict=False):
        assert tuple(answer.prompt_ids) == prompt.token_ids
        ids = np.concatenate([answer.prompt_ids, answer.answer_ids[:-1]])
        with torch.no_grad():
            logits = model(torch.from_numpy(ids)[None]).logits[0, len(answer.prompt_ids) - 1 :]
        logprobs = logits.log_softmax(-1)
        top = logprobs.topk(TOP_K)
        np.testing.assert_array_equal(answer.topk_ids, top.indices.numpy())
        np.testing.assert_allclose(answer.topk_logprobs, top.values.numpy(), rtol=2e-3, atol=1e-3)
        tail = 1 - top.values.exp().sum(-1).numpy()
        np.testing.assert_allclose(answer.tail_mass, tail, atol=1e-5)
        np.testing.assert_array_equal(answer.answer_ids, top.indices[:, 0].numpy())
        np.testing.assert_allclose(answer.sampled_logprobs, top.values[:, 0].numpy(), atol=1e-4)


@pytest.mark.parametrize("dies", [False, True])
def test_writing_goes_on_where_it_was_cut_off(
    tmp_path: Path, run_context: RunContext, prompts: list[TeacherPrompt], dies: bool
) -> None:
    key = cache_key(prompts)
    write(tmp_path / "whole", key, prompts, run_context)
    stopping = StoppingEngine(run_context, after=2, dies=dies)
    with pytest.raises(KeyboardInterrupt if dies else StoppedAtCheckpoint):
        write(tmp_path / "cut", key, prompts, run_context, stopping)
    with pytest.raises(TrainingError) as caught:
        open_teacher_cache(tmp_path / "cut", key)
    assert caught.value.code == "train.teacher_cache_corrupt"
    (tmp_path / "cut" / ".answers-00002.safetensors.partial").write_bytes(b"torn")
    fresh = RunContext(run_dir=tmp_path, spec_digest="0" * 64, events=Recorder())
    counting = StoppingEngine(fresh, after=100)
    write(tmp_path / "cut", key, prompts, fresh, counting)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert counting.num_calls == len(contents(tmp_path / "whole")) - 1 - 2


def test_answers_of_another_key_are_not_continued(
    tmp_path: Path, run_context: RunContext, prompts: list[TeacherPrompt]
) -> None:
    write(tmp_path / "cache", cache_key(prompts, max_new_tokens=5), prompts, run_context)
    key = cache_key(prompts)
    write(tmp_path / "cache", key, prompts, run_context)
    write(tmp_path / "whole", key, prompts, run_context)
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "value"),
    [("target_digest", "3" * 64), ("temperature", 0.7), ("top_k_logprobs", 4), ("seed", 4)],
)
def test_cache_of_another_origin_is_refused(
    tmp_path: Path, run_context: RunContext, prompts: list[TeacherPrompt], name: str, value: object
) -> None:
    write(tmp_path / "cache", cache_key(prompts), prompts, run_context)
    with pytest.raises(TrainingError, match=name) as caught:
        open_teacher_cache(tmp_path / "cache", cache_key(prompts, **{name: value}))
    assert caught.value.code == "train.teacher_cache_mismatch"


def test_changed_or_missing_files_are_found(
    tmp_path: Path, run_context: RunContext, prompts: list[TeacherPrompt]
) -> None:
    key = cache_key(prompts)
    write(tmp_path / "cache", key, prompts, run_context)
    file = tmp_path / "cache" / "answers-00001.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for _ in range(2):
        with pytest.raises(TrainingError, match=file.name) as caught:
            open_teacher_cache(tmp_path / "cache", key)
        assert caught.value.code == "train.teacher_cache_corrupt"
        file.unlink(missing_ok=True)


def test_too_few_prompts_are_a_warning(
    tmp_path: Path, run_context: RunContext, prompts: list[TeacherPrompt]
) -> None:
    key = cache_key(prompts[:5])
    write(tmp_path / "cache", key, prompts[:5], run_context)
    assert len(open_teacher_cache(tmp_path / "cache", key)) == 5
    warnings = [p for p in run_context.events.payloads if isinstance(p, RunWarning)]
    assert [warning.code for warning in warnings] == ["train.too_few_prompts"]


def test_sampled_answers_differ_between_batches(
    tmp_path: Path, run_context: RunContext, prompts: list[TeacherPrompt]
) -> None:
    same = [TeacherPrompt(row_id=f"s{i}", token_ids=prompts[0].token_ids) for i in range(8)]
    key = cache_key(same, temperature=1.0, num_tokens=60)
    write(tmp_path / "cache", key, same, run_context)
    answers = open_teacher_cache(tmp_path / "cache", key)
    assert len({tuple(answer.answer_ids) for answer in answers}) == 8
