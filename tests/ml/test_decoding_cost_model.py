"""Costs are measured as the engines run, and the draft length follows from them."""

import pytest

from pipeline.decoding.base import Completion, SpeculationStats
from pipeline.decoding.cost_model import (
    DecodingCosts,
    choose_draft_length,
    probe_costs,
    with_overhead,
)
from pipeline.metrics.speculation import predicted_speedup
from pipeline.modeling.tiny import tiny_llama


def costs(c=0.125, b=0.02, h=0.05, longest=12):
    v = tuple(1 + b * g for g in range(longest + 1))
    return DecodingCosts(c=c, v=v, h=h, target_step_seconds=0.01)


@pytest.mark.parametrize(
    ("acceptance", "c", "b", "expected_length", "expected_speedup"),
    [
        # Computed apart from the code, from the formula under "Cost model" in docs/decoding.md.
        (0.8, 0.125, 0.02, 5, 2.08),
        (0.5, 0.125, 0.02, 2, 1.31),
        (0.6, 0.05, 0.01, 4, 1.79),
        (0.8, 0.25, 0.05, 3, 1.51),
        (0.6, 0.375, 0.02, 1, 1.11),
    ],
)
def test_draft_length_is_the_best_of_the_table(acceptance, c, b, expected_length, expected_speedup):
    measured = costs(c=c, b=b)
    survival = [acceptance**i for i in range(1, 13)]
    length = choose_draft_length(survival, measured)
    assert length == expected_length
    speedup = predicted_speedup(survival, measured.c, measured.v, measured.h, length)
    assert speedup == pytest.approx(expected_speedup, abs=0.006)


def test_draft_length_is_at_least_one_and_never_beyond_what_was_measured():
    assert choose_draft_length([0.0] * 4, costs()) == 1
    assert choose_draft_length([1.0] * 12, costs(longest=3)) == 3
    assert choose_draft_length([1.0] * 2, costs()) == 2


def completion(num_rounds, num_draft_tokens, decode_seconds):
    return Completion(
        token_ids=(1, 2),
        finish_reason="length",
        prefill_seconds=1.0,
        decode_seconds=decode_seconds,
        speculation=SpeculationStats(
            num_drafts=num_rounds,
            num_draft_tokens=num_draft_tokens,
            num_accepted_tokens=0,
            accepted_per_position=(0,) * 4,
            num_target_steps=num_rounds,
        ),
    )


def test_overhead_is_what_the_rounds_took_beyond_the_model():
    # Ten rounds of 3.5 drafted tokens, modelled at 3.5 * 0.125 + 1.07 = 1.5075 steps of 10 ms.
    measured = with_overhead(costs(h=0.0), [completion(4, 16, 0.08), completion(6, 19, 0.09)])
    assert measured.h == pytest.approx(1.7 - 1.5075)
    assert with_overhead(costs(h=0.0), [completion(10, 35, 0.01)]).h == 0.0
    plain = Completion(
        token_ids=(1,), finish_reason="length", prefill_seconds=1.0, decode_seconds=0.0
    )
    assert with_overhead(costs(h=0.3), [plain]).h == 0.3


@pytest.mark.slow
def test_probe_measures_a_small_draft_as_cheaper_than_its_target():
    target = tiny_llama(hidden_size=256, num_layers=8)
    draft = tiny_llama(hidden_size=32, num_layers=1)
    probed = probe_costs(target, {"small": draft, "lookup": None}, context_length=64, max_draft=5)
    measured = probed["small"]
    assert measured.v[0] == 1.0
    assert len(measured.v) == 6
    assert 0 < measured.c < 0.6
    assert measured.h == 0.0
    assert measured.target_step_seconds > 0
    assert probed["lookup"].c == 0.0
    assert probed["lookup"].v == measured.v
