"""Several tokens per forward pass of the target, with the target's own distribution.

Each round drafts a few tokens, scores them and one more position in one pass of the target, keeps
the longest prefix the acceptance rule allows and adds one token of the target's own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.decoding.base import (
    Completion,
    SamplingParams,
    SpeculationStats,
    TokenLogprobs,
)
from pipeline.decoding.batching import (
    GeneratedSequence,
    batches_by_length,
    check_request,
    fill_holes,
    read_clock,
)
from pipeline.decoding.linear import fast_small_batch_linear
from pipeline.decoding.proposers.base import Draft, Proposer
from pipeline.decoding.runner import kernel_allowed, open_runner
from pipeline.decoding.sampling import (
    next_tokens,
    probabilities,
    token_logprobs,
    verify_greedy,
    verify_sampled,
)
from pipeline.errors import DecodingError

MAX_SPECULATIVE_TOKENS = 32


class SpeculativeEngine:
    """Decodes with a target and a proposer; greedy output equals the target's, token for token.

    Args:
        target: The model whose output is wanted.
        proposer: Where drafts come from.
        num_speculative_tokens: Draft length g of every round, except near the end of an answer.
        max_batch_size: Prompts decoded at a time; sequences of a batch accept independently.
        lean: Use the kernel for the models that it serves.

    Raises:
        ModelError: `model.vocabulary_mismatch`.
        DecodingError: `decode.unsupported_option`.
    """

    def __init__(
        self,
        target: PreTrainedModel,
        proposer: Proposer,
        *,
        num_speculative_tokens: int,
        max_batch_size: int = 1,
        lean: bool = True,
    ) -> None:
        if not 1 <= num_speculative_tokens <= MAX_SPECULATIVE_TOKENS:
            raise DecodingError(
                "decode.unsupported_option",
                f"num_speculative_tokens is {num_speculative_tokens}; it must be 1 to "
                f"{MAX_SPECULATIVE_TOKENS}.",
            )
        proposer.check(target, 1)
        self.name = f"speculative_{proposer.name}"
        self.target = target
        self.proposer = proposer
        self.num_speculative_tokens = num_speculative_tokens
        self.max_batch_size = max_batch_size
        self.lean = lean
        self.vocab_size: int = target.config.vocab_size

    def generate(
        self, prompts: Sequence[Sequence[int]], params: SamplingParams
    ) -> list[Completion]:
        """One completion per prompt, in their order, each with its `SpeculationStats`."""
        check_request(self.target, prompts, params)
        for prompt in prompts:
            self.proposer.check(self.target, len(prompt) + params.max_new_tokens)
        generator = torch.Generator(self.target.device).manual_seed(params.seed)
        completions: dict[int, Completion] = {}
        models = (self.target, *self.proposer.models)
        allowed = kernel_allowed(self.lean)
        with torch.inference_mode(), allowed, fast_small_batch_linear(*models):
            for indices in batches_by_length(prompts, self.max_batch_size):
                batch = _Batch(self, [prompts[index] for index in indices], params, generator)
                completions.update(zip(indices, batch.run(), strict=True))
        return [completions[index] for index in range(len(prompts))]


class _Batch:
    """Prompts that are decoded together. Rows of the caches correspond to `live`."""

    def __init__(
        self,
        engine: SpeculativeEngine,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        generator: torch.Generator,
    ) -> None:
        self.params = params
        self.generator = generator
        self.device = engine.target.device
        self.num_speculative_tokens = engine.num_speculative_tokens
        self.started = read_clock(self.device)
        # A sequence near its end still scores the full draft its neighbours need.
        capacity = (
            max(len(prompt) for prompt in prompts)
            + params.max_new_tokens
            + self.num_speculative_tokens
        )
        self.sequences = [
            _Sequence(prompt, params, self.num_speculative_tokens) for prompt in prompts
        ]
        self.live = list(self.sequences)
        self.runner = open_runner(engine.target, batch_size=len(prompts), capacity=capacity)
        self.draft_session = engine.proposer.begin(
            prompts, capacity=capacity, params=params, generator=generator
        )
        self.prompts = prompts

    def run(self) -> list[Completion]:
        logits = self.runner.prefill(self.prompts)
        first = next_tokens(logits, self.params, self.generator)
        logprobs = self._logprobs(logits[:, None], first[:, None])
        now = read_clock(self.device)
        for row, token in enumerate(first.tolist()):
            self.live[row].extend([token], logprobs[row], now)
        while self._drop_finished():
            self._round()
        return [sequence.to_completion(self.started) for sequence in self.sequences]

    def _drop_finished(self) -> bool:
        """Finished sequences have left the batch; False when none is left."""
        rows = fill_holes([sequence.answer.finish_reason is not None for sequence in self.live])
        if rows and len(rows) < len(self.live):
            self.runner.cache.keep_rows(rows)
            self.draft_session.keep_rows(rows)
        self.live = [self.live[row] for row in rows]
        return bool(rows)

    def _round(self) -> None:
        draft = self._draft()
        num_drafted = torch.tensor(draft.num_tokens, device=self.device)
        pending = torch.tensor(
            [sequence.context[-1:] for sequence in self.live], device=self.device
        )
        cached = self.runner.cache.lengths
        logits = self.runner.forward(
            torch.cat([pending, draft.token_ids], dim=1),
            num_logits=1 + draft.token_ids.shape[1],
        )
        if self.params.temperature == 0:
            num_accepted, own_tokens = verify_greedy(logits, draft.token_ids, num_drafted)
        else:
            num_accepted, own_tokens = verify_sampled(
                probabilities(logits, self.params),
                draft.probs,
                draft.token_ids,
                num_drafted,
                self.generator,
            )
        emitted = torch.cat([draft.token_ids, own_tokens[:, None]], dim=1)
        emitted.scatter_(1, num_accepted[:, None], own_tokens[:, None])
        logprobs = self._logprobs(logits, emitted)
        counts, tokens = num_accepted.tolist(), emitted.tolist()
        now = read_clock(self.device)
        for row, sequence in enumerate(self.live):
            end = counts[row] + 1
            sequence.count_round(draft.num_tokens[row], draft.num_model_steps)
            num_taken = sequence.extend(tokens[row][:end], logprobs[row][:end], now)
            sequence.count_accepted(min(num_taken, counts[row]))
        self.runner.cache.roll_back(
            [before + count + 1 for before, count in zip(cached, counts, strict=True)]
        )

    def _draft(self) -> Draft:
        # The target adds a token of its own to every round, so the last one is not worth drafting.
        num_missing = max(sequence.num_missing for sequence in self.live)
        num_tokens = min(self.num_speculative_tokens, num_missing - 1)
        if num_tokens:
            return self.draft_session.propose(
                [sequence.context for sequence in self.live], num_tokens
            )
        return Draft(
            token_ids=torch.empty((len(self.live), 0), dtype=torch.long, device=self.device),
            num_tokens=(0,) * len(self.live),
            probs=None,
        )

    def _logprobs(self, logits: Tensor, tokens: Tensor) -> list[list[TokenLogprobs]]:
        if not self.params.num_logprobs:
            return [[] for _ in range(tokens.shape[0])]
        return [
            token_logprobs(row_logits, row_tokens, self.params.num_logprobs)
            for row_logits, row_tokens in zip(logits, tokens, strict=True)
        ]


class _Sequence:
    """One prompt, its growing answer and what speculation did for it."""

    def __init__(
        self, prompt: Sequence[int], params: SamplingParams, num_speculative_tokens: int
    ) -> None:
        self.context = list(prompt)
        self.answer = GeneratedSequence(params=params)
        self.num_rounds = 0
        self.num_drafts = 0
        self.num_draft_tokens = 0
        self.num_model_steps = 0
        self.accepted_per_position = [0] * num_speculative_tokens

    @property
    def num_missing(self) -> int:
        return self.answer.params.max_new_tokens - len(self.answer.token_ids)

    def extend(
        self, token_ids: Sequence[int], logprobs: Sequence[TokenLogprobs], now: float
    ) -> int:
        num_taken = self.answer.extend(token_ids, logprobs, now)
        self.context.extend(token_ids[:num_taken])
        return num_taken

    def count_round(self, num_drafted: int, num_model_steps: int) -> None:
        self.num_rounds += 1
        self.num_drafts += num_drafted > 0
        self.num_draft_tokens += num_drafted
        self.num_model_steps += num_model_steps

    def count_accepted(self, num_accepted: int) -> None:
        for position in range(num_accepted):
            self.accepted_per_position[position] += 1

    def to_completion(self, started: float) -> Completion:
        statistics = SpeculationStats(
            num_drafts=self.num_drafts,
            num_draft_tokens=self.num_draft_tokens,
            num_accepted_tokens=sum(self.accepted_per_position),
            accepted_per_position=tuple(self.accepted_per_position),
            num_target_steps=self.num_rounds,
            num_model_steps=self.num_model_steps,
        )
        return self.answer.to_completion(started, statistics)
