"""Rates and ratios of the arms that answered, and whether they answered as the target does."""

from collections.abc import Collection, Iterator, Sequence

from transformers import PreTrainedModel

from bench.answering.own_arms import REFERENCE
from bench.answering.turns import Prompt, Turns
from bench.protocol import Result, Table
from pipeline.contracts.estimates import Estimate
from pipeline.decoding.losslessness import check_greedy_losslessness
from pipeline.evaluation.decoding_figures import REPETITIVE, Measurement
from pipeline.metrics.speedup import speedup_interval
from pipeline.metrics.text_overlap import repeated_4gram_rate

COLUMNS = ("arm", "tokens/s", "over plain", "low", "high", "answers that vary", "low", "high",
           "n of them", "identical", "near ties", "otherwise")  # fmt: skip
AGAINST_RIVALS = (REFERENCE, "combined")
"""Our arms whose ratio over every other library is among the figures."""


def result(
    target: PreTrainedModel, prompts: Sequence[Prompt], turns: Turns, *, ours: Collection[str]
) -> Result:
    """The table, and ratios over plain decoding; of `AGAINST_RIVALS` also over the others.

    An arm of `ours` that answers otherwise than the target fails the benchmark.
    """
    reference = turns.measured[REFERENCE]
    texts = [one.token_ids for one in reference.first()]
    rates = [repeated_4gram_rate(text) for text in texts]
    varied = [number for number, rate in enumerate(rates) if rate < REPETITIVE]
    figures = {"prompts": float(len(prompts)), "repeated_4gram_rate": sum(rates) / len(rates)}
    rows: list[list[object]] = []
    failures = []
    for name, found in turns.measured.items():
        checked = check_greedy_losslessness(
            target, prompts, texts, [one.token_ids for one in found.first()]
        )
        otherwise = checked.num_prompts - checked.num_identical - checked.num_near_ties
        if otherwise and name in ours:
            failures.append(f"{name}: an answer is not the target's own")
        rows.append(
            [name, _tokens_per_second(found), *cells(_speedup(reference, found, varied=None)),
             *cells(_speedup(reference, found, varied=varied)), len(varied),
             f"{checked.num_identical}/{checked.num_prompts}", checked.num_near_ties, otherwise]
        )  # fmt: skip
        figures[f"{name}_tokens_per_second"] = _tokens_per_second(found)
    rows += [[name, f"not run: {why}", *["-"] * (len(COLUMNS) - 2)]
             for name, why in turns.not_run.items()]  # fmt: skip
    compared = {
        f"{name}_vs_{other}": _speedup(turns.measured[other], turns.measured[name], varied=None)
        for name, other in _pairs(turns, ours)
    }
    return Result(
        table=Table(columns=COLUMNS, rows=rows),
        figures=figures,
        ratios={key: one.value for key, one in compared.items() if one is not None},
        spread={
            key: (one.low, one.high)
            for key, one in compared.items()
            if one is not None and one.low is not None and one.high is not None
        },
        failures=failures,
    )


def _pairs(turns: Turns, ours: Collection[str]) -> Iterator[tuple[str, str]]:
    rivals = [name for name in turns.measured if name not in ours]
    yield from ((name, REFERENCE) for name in turns.measured if name != REFERENCE)
    yield from (
        (name, rival) for name in AGAINST_RIVALS if name in turns.measured for rival in rivals
    )


def _speedup(
    reference: Measurement, found: Measurement, *, varied: Sequence[int] | None
) -> Estimate | None:
    """Over all prompts or these, where both took time: an answer of one token took none."""
    chosen = [
        number
        for number in (range(len(found.completions)) if varied is None else varied)
        if all(
            len(one.token_ids) > 1 and one.decode_seconds > 0
            for measured in (reference, found)
            for one in measured.completions[number]
        )
    ]
    if not chosen:
        return None
    return speedup_interval(reference.seconds_per_token(chosen), found.seconds_per_token(chosen))


def cells(figure: Estimate | None) -> tuple[object, ...]:
    """Value and bounds in a table; a dash for what there is not."""
    bounds = (None, None, None) if figure is None else (figure.value, figure.low, figure.high)
    return tuple("-" if one is None else one for one in bounds)


def _tokens_per_second(found: Measurement) -> float:
    """Behind the first token of each answer; 0 where there was no other."""
    each = [one for repeats in found.completions for one in repeats]
    seconds = sum(one.decode_seconds for one in each)
    return sum(len(one.token_ids) - 1 for one in each) / seconds if seconds else 0.0
