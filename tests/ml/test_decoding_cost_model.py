"""The parts of a round are measured as the engines run, and the best draft length follows."""

import pytest

from pipeline.contracts.decoding_results import DecodingCosts
from pipeline.decoding.cost_model import probe_costs
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
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
    speedups = {
        length: predicted_speedup(survival, measured.c, measured.v, measured.h, length)
        for length in range(1, 13)
    }
    length = max(speedups, key=speedups.__getitem__)
    assert length == expected_length
    assert speedups[length] == pytest.approx(expected_speedup, abs=0.006)


@pytest.mark.slow
def test_probe_measures_a_small_draft_as_cheaper_than_its_target():
    # Many times as large: beside other work a step of a fraction of a millisecond counts double.
    target = tiny_llama(hidden_size=512, num_layers=16)
    draft = tiny_llama(hidden_size=32, num_layers=1)
    arms = {"small": DraftModelProposer(draft), "lookup": NGramProposer()}
    probed = probe_costs(target, arms, context_length=64, max_draft=5)
    measured = probed["small"]
    assert measured.v[0] == 1.0
    assert len(measured.v) == 6
    assert 0 < measured.c < 1
    assert measured.h == 0.0
    assert measured.target_step_seconds > 0
    assert probed["lookup"].c == 0.0
    assert probed["lookup"].v == measured.v
