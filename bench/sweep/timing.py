"""One setting measured: the draft's engine beside plain decoding, unit by unit, in turns."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedModel

from bench.answering.figures import cells
from bench.answering.turns import WARM_UP_TOKENS, Prompt
from bench.sweep.settings import Setting
from pipeline.contracts.decoding_results import LosslessnessCounts
from pipeline.contracts.estimates import Estimate
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.decoding.losslessness import check_greedy_losslessness
from pipeline.decoding.proposers.base import Proposer
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.metrics.speedup import speedup_interval


@dataclass(frozen=True, kw_only=True, slots=True)
class _Timed:
    completions: list[Completion]
    seconds: float

    @property
    def num_tokens(self) -> int:
        return sum(len(one.token_ids) for one in self.completions)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """What one setting showed."""

    num_units: int
    plain_tokens_per_second: float
    """With prefill."""
    decode: Estimate | None
    """None for batches, and where no answer has a second token."""
    end_to_end: Estimate
    tokens_a_round: float
    """Of rounds with a draft, the target's own token among them."""
    first_accepted: float
    """Share of the rounds with a draft that accepted its first token."""
    checked: LosslessnessCounts | None
    """None for sampled answers: two arms may draw different ones and both be right."""

    def cells(self) -> list[object]:
        """Behind factor and value."""
        counts = self.checked
        return [
            self.num_units, self.plain_tokens_per_second, *cells(self.decode),
            *cells(self.end_to_end), self.tokens_a_round, self.first_accepted,
            "-" if counts is None else f"{counts.num_identical}/{counts.num_prompts}",
            "-" if counts is None else counts.num_near_ties,
        ]  # fmt: skip


def compare(
    target: PreTrainedModel,
    proposer: Proposer,
    units: Sequence[list[Prompt]],
    setting: Setting,
    params: SamplingParams,
) -> Compared:
    """Both engines on every unit, each first in every second one."""
    engines: list[Engine] = [
        AutoregressiveEngine(target, max_batch_size=setting.batch),
        SpeculativeEngine(
            target,
            proposer,
            num_speculative_tokens=setting.draft_length,
            max_batch_size=setting.batch,
        ),
    ]
    for engine in engines:
        engine.generate(units[0], replace(params, max_new_tokens=WARM_UP_TOKENS))
    timed: tuple[list[_Timed], list[_Timed]] = ([], [])
    for number, prompts in enumerate(units):
        for arm in (0, 1) if number % 2 == 0 else (1, 0):
            started = time.perf_counter()
            completions = engines[arm].generate(prompts, params)
            seconds = time.perf_counter() - started
            timed[arm].append(_Timed(completions=completions, seconds=seconds))
    plain, drafted = timed
    stats = [s for one in drafted for c in one.completions if (s := c.speculation) is not None]
    num_drafts = max(1, sum(one.num_drafts for one in stats))
    return Compared(
        num_units=len(units),
        plain_tokens_per_second=sum(t.num_tokens for t in plain) / sum(t.seconds for t in plain),
        decode=_decode(plain, drafted) if setting.batch == 1 else None,
        end_to_end=_ratio([[t.seconds / t.num_tokens for t in arm] for arm in timed]),
        tokens_a_round=1.0 + sum(one.num_accepted_tokens for one in stats) / num_drafts,
        first_accepted=sum(one.accepted_per_position[0] for one in stats) / num_drafts,
        checked=None if setting.temperature > 0 else _checked(target, units, plain, drafted),
    )


def _decode(plain: Sequence[_Timed], drafted: Sequence[_Timed]) -> Estimate | None:
    pairs = [(p.completions[0], d.completions[0]) for p, d in zip(plain, drafted, strict=True)]
    pairs = [pair for pair in pairs if all(len(one.token_ids) > 1 for one in pair)]
    if not pairs:
        return None
    return _ratio(
        [
            [one.decode_seconds / (len(one.token_ids) - 1) for one in arm]
            for arm in zip(*pairs, strict=True)
        ]
    )


def _ratio(seconds_per_token: Sequence[Sequence[float]]) -> Estimate:
    plain, drafted = ([[one] for one in arm] for arm in seconds_per_token)
    return speedup_interval(plain, drafted)


def _checked(
    target: PreTrainedModel,
    units: Sequence[list[Prompt]],
    plain: Sequence[_Timed],
    drafted: Sequence[_Timed],
) -> LosslessnessCounts:
    answers = ([c.token_ids for one in arm for c in one.completions] for arm in (plain, drafted))
    return check_greedy_losslessness(target, [p for unit in units for p in unit], *answers)
