"""vLLM as a rival of the benchmark of decoding: a child that sleeps between its answers."""

import sys
from pathlib import Path

from transformers import LlamaForCausalLM

from bench.rivals.child import Child
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams


def test_it_answers_as_the_target_with_a_draft(
    target: LlamaForCausalLM, target_path: Path, draft_path: Path
) -> None:
    command = [
        sys.executable, "-m", "bench.rivals.vllm_child", str(target_path), "--threads=2",
        "--context=64", f"--draft={draft_path}", "--length=3",
    ]  # fmt: skip
    rival = Child(command, threads=2, vocab_size=target.config.vocab_size)
    params = SamplingParams(max_new_tokens=12)
    for prompt in ((5, 6, 7), (80, 90)):
        (expected,) = AutoregressiveEngine(target).generate([prompt], params)
        found = rival(prompt, params)
        assert found.token_ids == expected.token_ids
        assert min(found.prefill_seconds, found.decode_seconds) > 0
    rival.close()
