"""Rounds of speculation as they would be, and as they take time.

A round drafts, lets the target check the draft and rolls back. What it costs depends on its kind:
how many steps a draft model took and how many tokens the target checked.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from pipeline.decoding.base import SamplingParams, num_shared
from pipeline.decoding.batching import read_clock
from pipeline.decoding.proposers.base import Draft, DraftSession, Proposer
from pipeline.decoding.runner import Runner, open_runner
from pipeline.decoding.sampling import next_tokens


class RoundKind(NamedTuple):
    """What decides the cost of a round."""

    num_model_steps: int
    """Of a draft model; 0 where the draft was looked up, or there was none."""
    num_drafted: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One round and what it brought."""

    kind: RoundKind
    num_tokens: int
    """Tokens put out, the target's own included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedRound(Round):
    """A round and a plain step of the target beside it."""

    num_asked: int
    """The draft length it was asked for."""
    cost: float
    """Its seconds in those of the plain steps before and behind it."""


def walk_rounds(
    session: DraftSession,
    prompt: Sequence[int],
    answer: Sequence[int],
    *,
    num_speculative_tokens: int,
    max_new_tokens: int,
) -> list[Round]:
    """The rounds in which greedy speculation would decode the target's own greedy answer.

    Nothing but the drafts is computed: a drafted token is accepted when the answer says it.

    Args:
        session: Has read `prompt`.
        prompt: Token ids.
        answer: What the target says to it.
        num_speculative_tokens: Draft length g.
        max_new_tokens: Of the engine; no more is drafted than it leaves room for.
    """
    rounds = []
    place = 1  # prefill gives the first token
    while place < len(answer):
        num_asked = min(num_speculative_tokens, max_new_tokens - place - 1)
        kind, drafted = RoundKind(0, 0), []
        if num_asked > 0:
            draft = session.propose([[*prompt, *answer[:place]]], num_asked)
            kind = RoundKind(draft.num_model_steps, draft.num_tokens[0])
            drafted = draft.token_ids[0, : draft.num_tokens[0]].tolist()
        num_tokens = min(num_shared(drafted, answer[place:]) + 1, len(answer) - place)
        rounds.append(Round(kind=kind, num_tokens=num_tokens))
        place += num_tokens
    return rounds


class RoundTimer:
    """A proposer around another one that times the rounds of the engine it is given to.

    Between two rounds it takes a plain step of the target on the same text, timed alike, so that
    whatever else the machine does meets both. Batch 1; rounds collect in `timed`.

    Args:
        inner: What drafts.
        target: The engine's target.
        lengths: Draft lengths to ask for, one after the other, over and over.
    """

    def __init__(self, inner: Proposer, target: PreTrainedModel, lengths: Sequence[int]) -> None:
        self.inner = inner
        self.target = target
        self.lengths = lengths
        self.timed: list[TimedRound] = []
        self.name = inner.name
        self.models = inner.models
        self.step_model = inner.step_model
        self.output_ids = inner.output_ids
        self.answer_store = inner.answer_store

    def check(self, target: PreTrainedModel, num_positions: int) -> None:
        """As `inner` says."""
        self.inner.check(target, num_positions)

    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        capacity: int,
        params: SamplingParams,
        generator: torch.Generator,
    ) -> "_TimingSession":
        """A session of `inner`, and a second cache of the target for the plain steps."""
        plain = open_runner(self.target, batch_size=1, capacity=capacity)
        plain.prefill(prompts)
        session = self.inner.begin(prompts, capacity=capacity, params=params, generator=generator)
        return _TimingSession(self, session, plain, params)


class _TimingSession:
    def __init__(
        self, timer: RoundTimer, inner: DraftSession, plain: Runner, params: SamplingParams
    ) -> None:
        self.timer = timer
        self.inner = inner
        self.plain = plain
        self.params = params
        # Chance of its own: the engine's must not depend on being timed.
        self.generator = torch.Generator(plain.device).manual_seed(params.seed)
        self.started: float | None = None
        self.before: tuple[RoundKind, int, int] | None = None
        """(kind, draft length asked for, tokens before it) of the round that is under way."""
        self.steps: list[float] = []

    def propose(self, sequences: Sequence[Sequence[int]], num_tokens: int) -> Draft:
        (sequence,) = sequences
        now = read_clock(self.plain.device)
        seconds = None if self.started is None else now - self.started
        self._plain_step(sequence[-1])
        if seconds is not None and self.before is not None:
            kind, num_asked, num_before = self.before
            self.timer.timed.append(
                TimedRound(
                    kind=kind,
                    num_asked=num_asked,
                    num_tokens=len(sequence) - num_before,
                    cost=seconds / statistics.mean(self.steps[-2:]),
                )
            )
        turn = len(self.timer.timed)
        num_asked = self.timer.lengths[turn % len(self.timer.lengths)]
        self.started = read_clock(self.plain.device)
        draft = self.inner.propose(sequences, min(num_asked, num_tokens))
        kind = RoundKind(draft.num_model_steps, draft.num_tokens[0])
        self.before = kind, num_asked, len(sequence)
        return draft

    def keep_rows(self, rows: Sequence[int]) -> None:
        self.inner.keep_rows(rows)

    def _plain_step(self, token: int) -> None:
        started = read_clock(self.plain.device)
        inputs = torch.tensor([[token]], device=self.plain.device)
        logits = self.plain.forward(inputs, num_logits=1)[:, -1]
        next_tokens(logits, self.params, self.generator).tolist()
        self.steps.append(read_clock(self.plain.device) - started)
