"""One token per forward pass of the target: the reference that every other engine must equal."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from pipeline.decoding.base import Completion, SamplingParams
from pipeline.decoding.batching import (
    GeneratedSequence,
    batches_by_length,
    check_request,
    fill_holes,
    read_clock,
)
from pipeline.decoding.linear import fast_small_batch_linear
from pipeline.decoding.runner import open_runner
from pipeline.decoding.sampling import next_tokens, token_logprobs


class AutoregressiveEngine:
    """Decodes with the model alone, up to `max_batch_size` prompts at a time.

    Prompts of similar length share a batch; a finished sequence leaves its batch at once. Sampled
    output depends on `params.seed` and on the batch a prompt is in.
    """

    name = "autoregressive"

    def __init__(self, model: PreTrainedModel, *, max_batch_size: int = 16) -> None:
        self.model = model
        self.max_batch_size = max_batch_size
        self.vocab_size: int = model.config.vocab_size

    def generate(
        self, prompts: Sequence[Sequence[int]], params: SamplingParams
    ) -> list[Completion]:
        """One completion per prompt, in their order. Errors as in `Engine`."""
        check_request(self.model, prompts, params)
        generator = torch.Generator(self.model.device).manual_seed(params.seed)
        completions: dict[int, Completion] = {}
        with torch.inference_mode(), fast_small_batch_linear(self.model):
            for indices in batches_by_length(prompts, self.max_batch_size):
                batch = [prompts[index] for index in indices]
                answers = self._generate_batch(batch, params, generator)
                completions.update(zip(indices, answers, strict=True))
        return [completions[index] for index in range(len(prompts))]

    def _generate_batch(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        generator: torch.Generator,
    ) -> list[Completion]:
        started = read_clock(self.model.device)
        longest = max(len(prompt) for prompt in prompts)
        runner = open_runner(
            self.model, batch_size=len(prompts), capacity=longest + params.max_new_tokens
        )
        answers = [GeneratedSequence(params=params) for _ in prompts]
        live = list(answers)  # in the order of the cache's rows
        logits = runner.prefill(prompts)
        while True:
            tokens = next_tokens(logits, params, generator)
            logprobs = (
                token_logprobs(logits, tokens, params.num_logprobs) if params.num_logprobs else []
            )
            host_tokens = tokens.tolist()
            now = read_clock(self.model.device)
            for row, answer in enumerate(live):
                answer.extend(host_tokens[row : row + 1], logprobs[row : row + 1], now)
            rows = fill_holes([answer.finish_reason is not None for answer in live])
            if not rows:
                return [answer.to_completion(started) for answer in answers]
            if len(rows) < len(live):
                runner.cache.keep_rows(rows)
                tokens = tokens[rows]
                live = [live[row] for row in rows]
            logits = runner.forward(tokens[:, None], num_logits=1)[:, -1]
