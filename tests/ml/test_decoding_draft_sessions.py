"""A draft model that was not asked in some rounds drafts as if it had read everything."""

import random

import pytest
import torch

from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.modeling.tiny import tiny_llama

VOCAB = 31
CAPACITY = 120


@pytest.fixture(scope="module")
def proposer():
    return DraftModelProposer(
        tiny_llama(dtype=torch.float64, vocab_size=VOCAB, hidden_size=32, num_layers=2)
    )


def begin(proposer, prompts, temperature):
    params = SamplingParams(max_new_tokens=1, temperature=temperature)
    generator = torch.Generator().manual_seed(4)
    return proposer.begin(prompts, capacity=CAPACITY, params=params, generator=generator)


def committed_next(source, draft, row):
    """What a round may commit: part of the draft, then other tokens; or several rounds of them."""
    kept = draft.token_ids[row].tolist()[: source.randint(0, draft.num_tokens[row])]
    return kept + [source.randrange(VOCAB) for _ in range(source.choice((1, 1, 2, 7)))]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("seed", range(4))
@torch.inference_mode()
def test_it_has_read_whatever_was_committed_meanwhile(proposer, batch_size, temperature, seed):
    """Rows grow by 1 to 12 tokens between two drafts, short ones beside long ones; every draft is
    that of a session which begins with the text of that moment."""
    source = random.Random(seed)
    sequences = [
        [source.randrange(VOCAB) for _ in range(length)]
        for length in source.sample((1, 2, 9, 17), batch_size)
    ]
    session = begin(proposer, sequences, temperature)
    sequences = [[*sequence, source.randrange(VOCAB)] for sequence in sequences]
    for _ in range(7):
        num_tokens = source.randint(1, 4)
        fresh = begin(proposer, [sequence[:-1] for sequence in sequences], temperature)
        fresh.generator.set_state(session.generator.get_state())
        draft = session.propose(sequences, num_tokens)
        expected = fresh.propose(sequences, num_tokens)
        assert draft.token_ids.tolist() == expected.token_ids.tolist()
        if temperature:
            torch.testing.assert_close(draft.probs, expected.probs)
        sequences = [
            [*sequence, *committed_next(source, draft, row)]
            for row, sequence in enumerate(sequences)
        ]
        if len(sequences) == 3 and source.random() < 0.3:
            session.keep_rows([0, 2])
            sequences = [sequences[0], sequences[2]]
