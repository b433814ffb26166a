"""llama.cpp through llama-cpp-python, in float32 with a float32 cache (the library's is float16).

Timed is `Llama.generate`, token by token: until the first token it yields, then until the last.
With `--length` its own prompt lookup drafts up to that many tokens a round; the first token comes
from the prompt alone there too.
"""

import argparse

from bench.rivals.serving import Answer, Engine, Request, Stopwatch, serve

GGML_TYPE_F32 = 0


def open_engine(options: argparse.Namespace) -> Engine:
    """llama.cpp with the weights of a GGUF file."""
    from llama_cpp import Llama
    from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

    model = Llama(
        options.model,
        n_ctx=options.context,
        n_threads=options.threads,
        n_threads_batch=options.threads,
        type_k=GGML_TYPE_F32,
        type_v=GGML_TYPE_F32,
        draft_model=(
            LlamaPromptLookupDecoding(num_pred_tokens=options.length) if options.length else None
        ),
        verbose=False,
    )

    def answer(request: Request) -> Answer:
        # Else it would keep what the prompt shares with the one before.
        model.reset()
        token_ids: list[int] = []
        watch = Stopwatch()
        for token in model.generate(request.token_ids, temp=0.0, repeat_penalty=1.0):
            watch.tokens_arrived(1)
            token_ids.append(token)
            if token in request.stop_token_ids or len(token_ids) == request.max_new_tokens:
                break
        return watch.answer(token_ids)

    return answer


if __name__ == "__main__":
    serve(open_engine)
