"""Speculation changes the speed and nothing else: greedy output is the target's own."""

import random

import pytest
import torch

from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.base import Draft
from pipeline.decoding.proposers.combined import CombinedProposer
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
from pipeline.decoding.proposers.store import StoreProposer
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.errors import DecodingError, ModelError
from pipeline.modeling.tiny import tiny_llama

NEW_TOKENS = 12


def random_prompts(count, *, seed=0, longest=24):
    source = random.Random(seed)
    return [
        [source.randrange(259) for _ in range(source.randint(1, longest))] for _ in range(count)
    ]


@pytest.fixture(scope="module")
def target():
    return tiny_llama(dtype=torch.float64, seed=0)


@pytest.fixture(scope="module")
def similar(target):
    """A draft that agrees with the target about half of the time: its weights plus noise."""
    draft = tiny_llama(dtype=torch.float64, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in draft.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.05 * parameter.std() * noise
    return draft


class ContraryProposer:
    """Always drafts a token that the target does not choose: the worst draft there can be."""

    name = "contrary"
    models = ()

    def __init__(self, target):
        self.target = target

    def check(self, target, num_positions):
        pass

    def begin(self, prompts, *, capacity, params, generator):
        return self

    def keep_rows(self, rows):
        pass

    def propose(self, sequences, num_tokens):
        chosen = [
            self.target(torch.tensor([list(sequence)])).logits[0, -1].argmax().item()
            for sequence in sequences
        ]
        tokens = torch.tensor([[(token + 1) % 259] * num_tokens for token in chosen])
        return Draft(token_ids=tokens, num_tokens=(num_tokens,) * len(sequences), probs=None)


@pytest.fixture(scope="module")
def prompts():
    # Half of them repeat themselves, so that the n-gram proposer has something to find.
    plain = random_prompts(25)
    return plain + [(prompt * 3)[:60] for prompt in random_prompts(25, seed=1)]


@pytest.fixture(scope="module")
def expected(target, prompts):
    params = SamplingParams(max_new_tokens=NEW_TOKENS)
    completions = AutoregressiveEngine(target, max_batch_size=1).generate(prompts, params)
    return [completion.token_ids for completion in completions]


def store_of(answers):
    """The answers, with every fifth token another one: some of what is found is wrong."""
    return AnswerStore(
        [
            [token if place % 5 else (token + 1) % 259 for place, token in enumerate(answer)]
            for answer in answers
        ],
        min_match=2,
    )


@pytest.mark.slow
def test_autoregressive_reference_is_that_of_transformers(target, prompts, expected):
    for prompt, tokens in zip(prompts, expected, strict=True):
        ids = torch.tensor([prompt])
        output = target.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=None,
        )
        assert tuple(output[0, len(prompt) :].tolist()) == tokens


@pytest.mark.parametrize(
    "num_speculative_tokens",
    [3, *(pytest.param(length, marks=pytest.mark.slow) for length in (1, 2, 4, 5, 6, 7, 8))],
)
@pytest.mark.parametrize(
    ("kind", "max_batch_size"),
    [
        ("similar", 1),
        ("similar", 8),
        ("itself", 8),
        ("other", 8),
        ("ngram", 1),
        ("ngram", 8),
        ("store", 1),
        ("store", 8),
        ("combined", 1),
        ("combined", 8),
    ],
)
def test_greedy_output_is_the_targets(
    target, similar, prompts, expected, kind, num_speculative_tokens, max_batch_size
):
    proposer = {
        "similar": lambda: DraftModelProposer(similar),
        "itself": lambda: DraftModelProposer(target),
        "other": lambda: DraftModelProposer(
            tiny_llama(dtype=torch.float64, seed=7, hidden_size=32, num_layers=1)
        ),
        "ngram": lambda: NGramProposer(),
        "store": lambda: StoreProposer(store_of(expected)),
        "combined": lambda: CombinedProposer(
            NGramProposer(min_ngram=2),
            store_of(expected[:20]),
            DraftModelProposer(similar),
            max_lookup_tokens=5,
            max_draft_tokens=2,
        ),
    }[kind]()
    engine = SpeculativeEngine(
        target,
        proposer,
        num_speculative_tokens=num_speculative_tokens,
        max_batch_size=max_batch_size,
    )
    completions = engine.generate(prompts, SamplingParams(max_new_tokens=NEW_TOKENS))
    assert [completion.token_ids for completion in completions] == expected
    if kind in ("similar", "store", "combined"):
        accepted = sum(completion.speculation.num_accepted_tokens for completion in completions)
        drafted = sum(completion.speculation.num_draft_tokens for completion in completions)
        assert 0.1 * drafted < accepted < 0.95 * drafted


def test_draft_that_always_disagrees_costs_speed_and_nothing_else(target, prompts, expected):
    engine = SpeculativeEngine(target, ContraryProposer(target), num_speculative_tokens=3)
    completions = engine.generate(prompts[:10], SamplingParams(max_new_tokens=NEW_TOKENS))
    assert [completion.token_ids for completion in completions] == expected[:10]
    for completion in completions:
        assert completion.speculation.num_accepted_tokens == 0
        assert completion.speculation.num_target_steps == NEW_TOKENS - 1


@pytest.mark.slow
def test_statistics_add_up_to_the_output(target, similar, prompts):
    params = SamplingParams(max_new_tokens=NEW_TOKENS)
    engine = SpeculativeEngine(target, DraftModelProposer(similar), num_speculative_tokens=4)
    for completion in engine.generate(prompts, params):
        stats = completion.speculation
        # One token comes from prefill and one from each step; the rest were drafted.
        assert len(completion.token_ids) == 1 + stats.num_target_steps + stats.num_accepted_tokens
        assert stats.num_accepted_tokens == sum(stats.accepted_per_position)
        assert list(stats.accepted_per_position) == sorted(
            stats.accepted_per_position, reverse=True
        )
        assert len(stats.accepted_per_position) == 4
        assert stats.num_draft_tokens <= 4 * stats.num_drafts
        assert stats.num_drafts <= stats.num_target_steps


def test_full_acceptance_leaves_no_gap_in_the_drafts_cache(target):
    """With the target as its own draft every draft is accepted, in every round, to the end."""
    engine = SpeculativeEngine(target, DraftModelProposer(target), num_speculative_tokens=3)
    completion = engine.generate([[5, 6, 7]], SamplingParams(max_new_tokens=41))[0]
    assert completion.speculation.accepted_per_position == (10, 10, 10)
    assert completion.speculation.num_target_steps == 10


@pytest.mark.slow
@pytest.mark.parametrize("max_batch_size", [1, 6])
def test_stop_tokens_end_an_answer_where_the_target_would(target, similar, prompts, max_batch_size):
    params = SamplingParams(max_new_tokens=30)
    reference = AutoregressiveEngine(target)
    full = reference.generate(prompts[:12], params)
    stops = tuple(completion.token_ids[4 + i] for i, completion in enumerate(full[:6]))
    params = SamplingParams(max_new_tokens=30, stop_token_ids=stops)
    engine = SpeculativeEngine(
        target,
        DraftModelProposer(similar),
        num_speculative_tokens=5,
        max_batch_size=max_batch_size,
    )
    answers, wanted = (
        engine.generate(prompts[:12], params),
        reference.generate(prompts[:12], params),
    )
    assert {answer.finish_reason for answer in answers} == {"stop", "length"}
    for answer, want in zip(answers, wanted, strict=True):
        assert (answer.token_ids, answer.finish_reason) == (want.token_ids, want.finish_reason)
        # Nothing behind the stop token is counted as accepted.
        assert answer.speculation.num_accepted_tokens < len(answer.token_ids)


@pytest.mark.parametrize("max_new_tokens", [1, 2, 3])
def test_short_answers(target, similar, max_new_tokens):
    params = SamplingParams(max_new_tokens=max_new_tokens)
    engine = SpeculativeEngine(target, DraftModelProposer(similar), num_speculative_tokens=6)
    expected = AutoregressiveEngine(target).generate([[9]], params)[0]
    assert engine.generate([[9]], params)[0].token_ids == expected.token_ids


def test_context_is_used_to_the_last_token(target, similar):
    prompt = (random_prompts(1)[0] * 500)[:500]
    params = SamplingParams(max_new_tokens=12)
    engine = SpeculativeEngine(target, DraftModelProposer(similar), num_speculative_tokens=6)
    expected = AutoregressiveEngine(target).generate([prompt], params)[0]
    assert engine.generate([prompt], params)[0].token_ids == expected.token_ids


def test_logprobs_are_the_targets(target, similar, prompts):
    params = SamplingParams(max_new_tokens=9, num_logprobs=4)
    engine = SpeculativeEngine(target, DraftModelProposer(similar), num_speculative_tokens=3)
    reference = AutoregressiveEngine(target)
    for answer, want in zip(
        engine.generate(prompts[:5], params), reference.generate(prompts[:5], params), strict=True
    ):
        assert len(answer.logprobs) == 9
        for mine, theirs in zip(answer.logprobs, want.logprobs, strict=True):
            assert mine.token_ids == theirs.token_ids
            assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-9)
            assert mine.sampled_logprob == pytest.approx(theirs.sampled_logprob, abs=1e-9)


def test_ngram_drafts_what_followed_the_latest_occurrence(target):
    session = NGramProposer(max_ngram=2).begin(
        [[]], capacity=0, params=SamplingParams(max_new_tokens=1), generator=torch.Generator()
    )
    draft = session.propose([[1, 2, 3, 9, 2, 4, 1, 2]], 3)
    assert draft.token_ids.tolist() == [[3, 9, 2]]  # the longer match (1, 2), not the later 2
    assert session.propose([[1, 2, 3, 9, 2, 4, 1, 2, 5, 2]], 2).token_ids.tolist() == [[5, 2]]
    assert session.propose([[1, 2, 3, 9, 2, 4, 1, 2, 5, 2, 77]], 2).num_tokens == (0,)


def test_unusable_pairs_and_options_are_refused(target, similar):
    with pytest.raises(ModelError, match=r"200 tokens .* 259") as mismatch:
        SpeculativeEngine(
            target, DraftModelProposer(tiny_llama(vocab_size=200)), num_speculative_tokens=2
        )
    assert mismatch.value.code == "model.vocabulary_mismatch"
    for number in (0, 33):
        with pytest.raises(DecodingError, match=f"is {number}") as info:
            SpeculativeEngine(target, DraftModelProposer(similar), num_speculative_tokens=number)
        assert info.value.code == "decode.unsupported_option"
    with pytest.raises(DecodingError, match="min_ngram 3"):
        NGramProposer(min_ngram=3, max_ngram=2)
    short = tiny_llama(dtype=torch.float64, max_position_embeddings=16)
    engine = SpeculativeEngine(target, DraftModelProposer(short), num_speculative_tokens=2)
    with pytest.raises(DecodingError, match="draft's 16") as info:
        engine.generate([[5] * 10], SamplingParams(max_new_tokens=7))
    assert info.value.code == "decode.context_too_long"
    with pytest.raises(DecodingError, match="context of 512"):
        engine.generate([[5] * 510], SamplingParams(max_new_tokens=7))
