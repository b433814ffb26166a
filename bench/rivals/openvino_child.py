"""OpenVINO GenAI on the CPU, weights, activations and cache in float32.

Timed is `LLMPipeline.generate` by a streamer: until it is given the first tokens, then until the
last. With `--draft` its speculative decoding drafts `--length` tokens a round with that model; with
`--length` alone its prompt lookup does.
"""

import argparse
from collections.abc import Sequence

from bench.rivals.serving import Answer, Engine, Request, Stopwatch, serve

NO_TOKEN = -1
MAX_NGRAM = 3
"""Longest run of last tokens that prompt lookup looks for; as in our lookup."""


def open_engine(options: argparse.Namespace) -> Engine:
    """A pipeline of a GGUF file or a directory in OpenVINO's own format."""
    import numpy as np
    import openvino
    import openvino_genai

    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "INFERENCE_NUM_THREADS": options.threads,
    }
    drafting = {}
    if options.draft:
        drafting["draft_model"] = openvino_genai.draft_model(options.draft, "CPU", **settings)
    elif options.length:
        drafting["prompt_lookup"] = True
    model = openvino_genai.LLMPipeline(options.model, "CPU", {**settings, **drafting})

    class Streamer(openvino_genai.StreamerBase):  # type: ignore[misc]  # not installed here
        def __init__(self) -> None:
            super().__init__()
            self.watch = Stopwatch()

        def write(self, token: int | Sequence[int]) -> object:
            self.watch.tokens_arrived(1 if isinstance(token, int) else len(token))
            return openvino_genai.StreamingStatus.RUNNING

        def end(self) -> None:
            pass

    def answer(request: Request) -> Answer:
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = request.max_new_tokens
        config.do_sample = False
        config.eos_token_id = NO_TOKEN
        config.stop_token_ids = set(request.stop_token_ids)
        config.apply_chat_template = False
        if options.length:
            config.num_assistant_tokens = options.length
            if not options.draft:
                config.max_ngram_size = MAX_NGRAM
        ids = np.array([request.token_ids], dtype=np.int64)
        inputs = openvino_genai.TokenizedInputs(
            openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids))
        )
        streamer = Streamer()
        found = model.generate(inputs, config, streamer)
        return streamer.watch.answer(list(found.tokens[0]))

    return answer


if __name__ == "__main__":
    serve(open_engine)
