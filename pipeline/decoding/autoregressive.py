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
from pipeline.decoding.refilling import generate_with_refill
from pipeline.decoding.runner import kernel_allowed, open_lean_runner, open_runner
from pipeline.decoding.sampling import next_tokens, token_logprobs

BATCH_SIZE = 16
LEAN_BATCH_SIZE = 24


class AutoregressiveEngine:
    """Decodes with the model alone, up to `max_batch_size` prompts at a time.

    On the kernel (`lean`) a finished sequence makes room for the next prompt, and an answer depends
    on its prompt, `params` and, sampled, its place in the call. Elsewhere prompts of similar length
    share a batch, a finished sequence leaves it at once, and sampled output depends on
    `params.seed` and on the batch a prompt is in.

    Args:
        model: The model whose output is wanted.
        max_batch_size: Prompts decoded at a time; None for 24 on the kernel and 16 elsewhere.
        lean: Use the kernel where it serves the model.
    """

    name = "autoregressive"

    def __init__(
        self, model: PreTrainedModel, *, max_batch_size: int | None = None, lean: bool = True
    ) -> None:
        self.model = model
        self.max_batch_size = max_batch_size
        self.lean = lean
        self.vocab_size: int = model.config.vocab_size

    def generate(
        self, prompts: Sequence[Sequence[int]], params: SamplingParams
    ) -> list[Completion]:
        """One completion per prompt, in their order. Errors as in `Engine`."""
        check_request(self.model, prompts, params)
        if not prompts:
            return []
        with torch.inference_mode(), kernel_allowed(self.lean):
            runner = open_lean_runner(
                self.model,
                most_rows=min(self.max_batch_size or LEAN_BATCH_SIZE, len(prompts)),
                capacity=max(map(len, prompts)) + params.max_new_tokens,
            )
            if runner is not None:
                return generate_with_refill(runner, prompts, params)
            return self._generate_in_batches(prompts, params)

    def _generate_in_batches(
        self, prompts: Sequence[Sequence[int]], params: SamplingParams
    ) -> list[Completion]:
        generator = torch.Generator(self.model.device).manual_seed(params.seed)
        completions: dict[int, Completion] = {}
        batches = batches_by_length(prompts, self.max_batch_size or BATCH_SIZE)
        with fast_small_batch_linear(self.model):
            for indices in batches:
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
