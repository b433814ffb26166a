"""vLLM's CPU build in float32, without compilation, through the product's own adapter.

The times are vLLM's record of the request: from its arrival in the queue to the first token, which
the target chooses alone, and from there to the last. With `--draft` that model drafts `--length`
tokens a round.
"""

import argparse
from pathlib import Path

import torch

from bench.rivals.serving import Answer, Engine, Request, serve
from pipeline.contracts.decoding_spec import DraftModelArm
from pipeline.contracts.references import Reference
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.vllm_engine import VllmEngine


def open_engine(options: argparse.Namespace) -> Engine:
    """vLLM with the directory of a model."""
    torch.set_num_threads(options.threads)
    is_drafting = bool(options.draft)
    engine = VllmEngine(
        Path(options.model),
        arm=(
            DraftModelArm(name="draft", model=Reference(path=options.draft))
            if is_drafting
            else None
        ),
        num_speculative_tokens=options.length if is_drafting else None,
        dtype="float32",
        max_model_len=options.context,
        enforce_eager=True,
    )

    def answer(request: Request) -> Answer:
        params = SamplingParams(
            max_new_tokens=request.max_new_tokens, stop_token_ids=tuple(request.stop_token_ids)
        )
        (found,) = engine.generate([request.token_ids], params)
        return Answer(
            token_ids=list(found.token_ids),
            prefill_seconds=found.prefill_seconds,
            decode_seconds=found.decode_seconds,
        )

    return answer


if __name__ == "__main__":
    serve(open_engine)
