"""Continuous batching on the kernel: a sequence that ends makes room for the next prompt at once.

An answer does not depend on the others: the kernel's numbers do not, and in sampling each prompt
has chance of its own.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.decoding.base import Completion, SamplingParams
from pipeline.decoding.batching import GeneratedSequence, fill_holes, read_clock
from pipeline.decoding.lean.model import LeanRunner
from pipeline.decoding.sampling import probabilities, sample, token_logprobs


def generate_with_refill(
    runner: LeanRunner, prompts: Sequence[Sequence[int]], params: SamplingParams
) -> list[Completion]:
    """One completion per prompt, in their order; `prefill_seconds` begin when a prompt is read.

    Args:
        runner: With no more rows than there are prompts, and room for the longest answer.
        prompts: Token ids.
        params: How to choose tokens; the prompt of index i draws with `(params.seed, i)`.
    """
    generation = _Generation(runner, prompts, params)
    generation.run()
    return [answer.sequence.to_completion(answer.started) for answer in generation.answers]


class _Answer:
    """One prompt and its growing answer."""

    def __init__(self, prompt: Sequence[int], params: SamplingParams, index: int) -> None:
        self.prompt = prompt
        self.sequence = GeneratedSequence(params=params)
        self.started = 0.0
        self.generator = torch.Generator()
        if params.temperature > 0:
            seed = np.random.SeedSequence([params.seed, index]).generate_state(1, np.uint64)[0]
            self.generator.manual_seed(int(seed))

    @property
    def is_finished(self) -> bool:
        return self.sequence.finish_reason is not None


class _Generation:
    """The answers of one call. Row i of the runner belongs to `live[i]`."""

    def __init__(
        self, runner: LeanRunner, prompts: Sequence[Sequence[int]], params: SamplingParams
    ) -> None:
        self.runner = runner
        self.params = params
        self.answers = [_Answer(prompt, params, index) for index, prompt in enumerate(prompts)]
        # Long prompts first: what is left for the end, when rows run empty, is short.
        self.waiting = deque(sorted(self.answers, key=lambda answer: -len(answer.prompt)))
        self.live = [self.waiting.popleft() for _ in runner.cache.lengths]

    def run(self) -> None:
        """All answers are finished."""
        self._read(range(len(self.live)))
        while self._replace_finished():
            last = torch.tensor([[answer.sequence.token_ids[-1]] for answer in self.live])
            logits = self.runner.forward(last, num_logits=1)[:, -1]
            self._extend(self.live, logits)

    def _read(self, rows: Sequence[int]) -> None:
        """The prompts of these rows have been read and have their first token."""
        answers = [self.live[row] for row in rows]
        now = read_clock(self.runner.device)
        for answer in answers:
            answer.started = now
        self._extend(answers, self.runner.refill(rows, [answer.prompt for answer in answers]))

    def _replace_finished(self) -> bool:
        """No row's answer is finished; False when no row is left."""
        while self.waiting:
            rows = [row for row, answer in enumerate(self.live) if answer.is_finished]
            rows = rows[: len(self.waiting)]
            if not rows:
                return True
            for row in rows:
                self.live[row] = self.waiting.popleft()
            self._read(rows)
        rows = fill_holes([answer.is_finished for answer in self.live])
        if rows and len(rows) < len(self.live):
            self.runner.cache.keep_rows(rows)
        self.live = [self.live[row] for row in rows]
        return bool(rows)

    def _extend(self, answers: Sequence[_Answer], logits: Tensor) -> None:
        """Each of `answers` has the next token, from its row of `logits` `[len(answers), V]`."""
        params = self.params
        if params.temperature == 0:
            tokens = logits.argmax(-1)
        else:
            drawn = [
                sample(row[None], answer.generator)
                for row, answer in zip(probabilities(logits, params), answers, strict=True)
            ]
            tokens = torch.cat(drawn)
        num_logprobs = params.num_logprobs
        logprobs = token_logprobs(logits, tokens, num_logprobs) if num_logprobs else []
        now = read_clock(self.runner.device)
        for index, (answer, token) in enumerate(zip(answers, tokens.tolist(), strict=True)):
            answer.sequence.extend([token], logprobs[index : index + 1], now)
