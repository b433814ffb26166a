"""vLLM's answers are those of transformers on the same checkpoint, alone and with a draft."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
import torch
from transformers import LlamaForCausalLM
from vllm.v1.metrics.reader import get_metrics_snapshot

from pipeline.contracts.decoding_spec import DraftModelArm, NGramArm
from pipeline.contracts.references import Reference
from pipeline.decoding.base import Completion, SamplingParams
from pipeline.decoding.vllm_engine import VllmEngine
from pipeline.errors import DecodingError, ModelError
from pipeline.modeling.tiny import tiny_llama

PROMPTS = ([5, 6, 7], list(range(20, 60)), [200] * 5, [9, 150, 33, 80, 101, 64])
GREEDY = SamplingParams(max_new_tokens=32)
NEAR_TIE = 1e-4  # of logits in float64; below it two correct fp32 programs may choose differently
NUM_SPECULATIVE_TOKENS = 3  # of conftest's engine
CHI_SQUARE_15_DEGREES = 44.3  # exceeded by chance once in 10,000 trials


def draft_arm(path: Path | str) -> DraftModelArm:
    return DraftModelArm(name="draft", model=Reference(path=str(path)))


def next_logits(model: LlamaForCausalLM, token_ids: Sequence[int]) -> torch.Tensor:
    """Logits after each of `token_ids`, `[T, V]`."""
    with torch.inference_mode():
        return model(torch.tensor([token_ids])).logits[0]


def greedy_reference(model: LlamaForCausalLM, prompt: Sequence[int], num_tokens: int) -> list[int]:
    input_ids = torch.tensor([prompt])
    output = model.generate(
        input_ids,
        attention_mask=torch.ones_like(input_ids),
        max_new_tokens=num_tokens,
        do_sample=False,
        eos_token_id=None,
    )
    return output[0, len(prompt) :].tolist()


def assert_greedy_equal(
    model: LlamaForCausalLM,
    prompt: Sequence[int],
    actual: Sequence[int],
    expected: Sequence[int],
) -> None:
    """Equal token for token, or a first difference that is a near-tie in float64."""
    assert len(actual) == len(expected)
    pairs = enumerate(zip(actual, expected, strict=True))
    place = next((i for i, (a, b) in pairs if a != b), None)
    if place is None:
        return
    context = [*prompt, *expected[:place]]
    logits = next_logits(tiny_llama(hidden_size=128, dtype=torch.float64), context)[-1]
    gap = abs(logits[actual[place]] - logits[expected[place]]).item()
    assert gap < NEAR_TIE, f"token {place}: {actual[place]} is {gap} from {expected[place]}"


@pytest.mark.parametrize("which", ["engine", "speculative_engine"])
def test_greedy_equals_transformers(
    which: str, target: LlamaForCausalLM, request: pytest.FixtureRequest
) -> None:
    completions = request.getfixturevalue(which).generate(PROMPTS, GREEDY)
    for prompt, completion in zip(PROMPTS, completions, strict=True):
        expected = greedy_reference(target, prompt, GREEDY.max_new_tokens)
        assert_greedy_equal(target, prompt, completion.token_ids, expected)
        assert completion.finish_reason == "length"
        assert completion.prefill_seconds > 0
        assert completion.decode_seconds > 0


@pytest.mark.parametrize(
    ("which", "options"),
    [("engine", {"temperature": 0.7, "top_p": 0.9, "seed": 3}), ("speculative_engine", {})],
)
def test_logprobs_equal_transformers(
    which: str,
    options: dict[str, float],
    target: LlamaForCausalLM,
    request: pytest.FixtureRequest,
) -> None:
    params = SamplingParams(max_new_tokens=12, num_logprobs=5, **options)
    for prompt, completion in zip(
        PROMPTS, request.getfixturevalue(which).generate(PROMPTS, params), strict=True
    ):
        assert len(completion.logprobs) == len(completion.token_ids) == 12
        tokens = completion.token_ids
        logits = next_logits(target, [*prompt, *tokens])[len(prompt) - 1 : -1]
        expected = logits.log_softmax(-1)
        for position, token, row in zip(completion.logprobs, tokens, expected, strict=True):
            assert position.sampled_logprob == pytest.approx(row[token].item(), abs=1e-3)
            assert position.logprobs == pytest.approx(row.topk(5).values.tolist(), abs=1e-3)
            assert position.logprobs == pytest.approx(
                [row[candidate].item() for candidate in position.token_ids], abs=1e-3
            )


def test_a_stop_token_ends_the_answer_and_is_part_of_it(engine: VllmEngine) -> None:
    (free,) = engine.generate(PROMPTS[:1], GREEDY)
    assert 2 in free.token_ids[:-1], "the checkpoint's own end token must not end an answer"
    stop = free.token_ids[5]
    params = SamplingParams(max_new_tokens=32, stop_token_ids=(stop,))
    (stopped,) = engine.generate(PROMPTS[:1], params)
    assert stopped.token_ids == free.token_ids[: free.token_ids.index(stop) + 1]
    assert stopped.finish_reason == "stop"
    params = SamplingParams(max_new_tokens=32, stop_token_ids=(stop,), ignore_stop=True)
    (ignored,) = engine.generate(PROMPTS[:1], params)
    assert ignored.token_ids == free.token_ids
    assert ignored.finish_reason == "length"


def test_sampling_follows_the_targets_distribution(
    engine: VllmEngine, target: LlamaForCausalLM
) -> None:
    """Counts of the first two tokens (16 pairs under top-k 4) pass a chi-square test."""
    prompt, num_samples = [70, 71, 72, 73], 1600
    params = SamplingParams(max_new_tokens=2, temperature=1.5, top_k=4, seed=11)
    completions = engine.generate([prompt] * num_samples, params)
    observed = [completion.token_ids for completion in completions]
    statistic = 0.0
    first = (next_logits(target, prompt)[-1] / 1.5).topk(4)
    for token, share in zip(first.indices.tolist(), first.values.softmax(0).tolist(), strict=True):
        second = (next_logits(target, [*prompt, token])[-1] / 1.5).topk(4)
        shares = second.values.softmax(0).tolist()
        for follower, conditional in zip(second.indices.tolist(), shares, strict=True):
            expected = num_samples * share * conditional
            assert expected > 5
            statistic += (observed.count((token, follower)) - expected) ** 2 / expected
    assert statistic < CHI_SQUARE_15_DEGREES
    repeated = engine.generate([prompt] * 20, params)
    assert [completion.token_ids for completion in repeated] == observed[:20]


def test_sampling_with_a_draft_is_refused_on_a_cpu(speculative_engine: VllmEngine) -> None:
    params = SamplingParams(max_new_tokens=2, temperature=1.0)
    with pytest.raises(DecodingError, match="temperature 0, a GPU") as caught:
        speculative_engine.generate(PROMPTS, params)
    assert caught.value.code == "decode.unsupported_option"


def spec_decode_counters() -> dict[str, list[int]]:
    """vLLM's own process-wide counters."""
    return {
        metric.name.removeprefix("vllm:spec_decode_"): getattr(metric, "values", None)
        or [metric.value]
        for metric in get_metrics_snapshot()
        if metric.name.startswith("vllm:spec_decode_num")
    }


def summed_stats(completions: Sequence[Completion]) -> dict[str, list[int]]:
    stats = [completion.speculation for completion in completions]
    return {
        "num_drafts": [sum(s.num_drafts for s in stats)],
        "num_draft_tokens": [sum(s.num_draft_tokens for s in stats)],
        "num_accepted_tokens": [sum(s.num_accepted_tokens for s in stats)],
        "num_accepted_tokens_per_pos": [
            sum(counts) for counts in zip(*(s.accepted_per_position for s in stats), strict=True)
        ],
    }


def test_speculation_is_counted_per_answer(speculative_engine: VllmEngine) -> None:
    before = spec_decode_counters()
    completions = speculative_engine.generate(PROMPTS, GREEDY)
    difference = {
        name: [after - then for after, then in zip(values, before[name], strict=True)]
        for name, values in spec_decode_counters().items()
    }
    totals = summed_stats(completions)
    for name in ("num_drafts", "num_draft_tokens"):
        assert totals[name] == difference[name]
    # vLLM counts what the last round accepts behind the end of an answer, too.
    surplus = difference["num_accepted_tokens"][0] - totals["num_accepted_tokens"][0]
    assert 0 <= surplus <= NUM_SPECULATIVE_TOKENS * len(PROMPTS)
    for completion in completions:
        stats = completion.speculation
        per_position = stats.accepted_per_position
        assert len(per_position) == NUM_SPECULATIVE_TOKENS
        assert sum(per_position) == stats.num_accepted_tokens
        assert all(a >= b for a, b in itertools.pairwise((stats.num_drafts, *per_position)))
        assert stats.num_drafts <= stats.num_target_steps
        assert len(completion.token_ids) == 1 + stats.num_target_steps + stats.num_accepted_tokens
    share = totals["num_accepted_tokens"][0] / totals["num_draft_tokens"][0]
    assert 0.1 < share < 0.9, "both acceptance and rejection must occur"


def test_without_a_draft_there_is_no_speculation(engine: VllmEngine) -> None:
    (completion,) = engine.generate(PROMPTS[:1], GREEDY)
    assert completion.speculation is None


def test_one_token_is_the_prefills(speculative_engine: VllmEngine) -> None:
    (completion,) = speculative_engine.generate([[5, 6]], SamplingParams(max_new_tokens=1))
    assert len(completion.token_ids) == 1
    assert completion.decode_seconds == 0
    assert completion.speculation.num_target_steps == 0


@pytest.mark.parametrize(
    ("prompt", "options", "code", "message"),
    [
        ([5], {"num_logprobs": 9}, "decode.unsupported_option", "max_logprobs=9"),
        ([5], {"temperature": 0.001}, "decode.unsupported_option", "0.01 or more"),
        ([5], {"temperature": 2.5}, "decode.unsupported_option", r"\[0, 2\], got 2.5"),
        ([], {}, "decode.unsupported_option", "is empty"),
        ([259], {}, "decode.unsupported_option", "vocabulary is 0 to 258"),
        ([5] * 505, {}, "decode.context_too_long", "context of 512"),
    ],
)
def test_what_vllm_would_change_or_die_of_is_refused(
    engine: VllmEngine, prompt: list[int], options: dict[str, float], code: str, message: str
) -> None:
    with pytest.raises(DecodingError, match=message) as caught:
        engine.generate([prompt], SamplingParams(max_new_tokens=8, **options))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float64"}, "dtype is 'float64'"),
        ({"num_speculative_tokens": 3}, "give both or neither"),
        ({"arm": NGramArm()}, "give both or neither"),
        ({"arm": draft_arm("eagle3/draft"), "num_speculative_tokens": 3}, "contains 'eagle3'"),
        ({"arm": draft_arm("draft"), "num_speculative_tokens": 0}, "at least 1"),
    ],
)
def test_options_are_checked_before_the_start(
    target_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DecodingError, match=message) as caught:
        VllmEngine(target_path, **{"dtype": "float32", **options})
    assert caught.value.code == "decode.unsupported_option"


def test_a_draft_of_another_vocabulary_is_refused(target_path: Path, tmp_path: Path) -> None:
    tiny_llama(vocab_size=300).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="259 tokens") as caught:
        VllmEngine(target_path, arm=draft_arm(tmp_path), num_speculative_tokens=2, dtype="float32")
    assert caught.value.code == "model.vocabulary_mismatch"


def test_a_missing_package_is_said_so(target_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(DecodingError, match="install requirements/gpu") as caught:
        VllmEngine(target_path, dtype="float32")
    assert caught.value.code == "decode.engine_unavailable"


def test_a_failed_start_is_said_so(target_path: Path) -> None:
    with pytest.raises(DecodingError, match="did not start") as caught:
        VllmEngine(target_path, dtype="float32", max_model_len=100_000)
    assert caught.value.code == "decode.engine_failed"


@pytest.fixture(scope="module")
def perfect_engine(target_path: Path) -> Iterator[VllmEngine]:
    """An engine whose draft is its target; the last test that uses it ends it."""
    engine = VllmEngine(
        target_path, arm=draft_arm(target_path), num_speculative_tokens=2, dtype="float32"
    )
    yield engine
    engine.close()


def test_nearly_every_token_of_a_perfect_draft_is_accepted(perfect_engine: VllmEngine) -> None:
    # 30 tokens behind the first are ten rounds of three.
    completions = perfect_engine.generate(PROMPTS, SamplingParams(max_new_tokens=31))
    totals = summed_stats(completions)
    assert totals["num_accepted_tokens"][0] > 0.95 * totals["num_draft_tokens"][0]
    assert totals["num_drafts"][0] <= 10 * len(PROMPTS) + 2


def test_a_killed_engine_is_an_error_and_closes(perfect_engine: VllmEngine) -> None:
    newest = max(
        (p for p in multiprocessing.active_children() if p.name.startswith("EngineCore")),
        key=lambda process: process.pid,
    )
    members = psutil.Process(newest.pid).children(recursive=True)
    newest.kill()
    with pytest.raises(DecodingError) as caught:
        perfect_engine.generate(PROMPTS, GREEDY)
    assert caught.value.code == "decode.engine_failed"
    perfect_engine.close()
    with pytest.raises(DecodingError, match="closed"):
        perfect_engine.generate(PROMPTS, GREEDY)
    _, alive = psutil.wait_procs(members, timeout=20)
    assert not alive


OPEN_AND_WAIT = """
import sys, time
from pathlib import Path
from pipeline.decoding.vllm_engine import VllmEngine

if __name__ == "__main__":
    engine = VllmEngine(Path(sys.argv[1]), dtype="float32")
    print("open", flush=True)
    time.sleep(600)
"""


def test_the_engine_does_not_outlive_a_killed_parent(target_path: Path, tmp_path: Path) -> None:
    program = tmp_path / "open_and_wait.py"
    program.write_text(OPEN_AND_WAIT)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, str(program), str(target_path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout.readline() == "open\n", "standard output is the program's own"
        members = psutil.Process(parent.pid).children(recursive=True)
        assert len(members) >= 2
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(members, timeout=20)
    assert not alive
