"""Sampling follows the stated distribution, and speculation follows the same one exactly."""

import pytest
import torch
from scipy import stats

from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.combined import CombinedProposer
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
from pipeline.decoding.proposers.store import StoreProposer
from pipeline.decoding.sampling import probabilities, verify_greedy, verify_sampled
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.modeling.tiny import tiny_llama

VOCAB = 8
STORED = [[3, 1, 4, 1, 5], [3, 2, 6], [3, 6, 7, 7]]
DRAWS = 200_000
# One false alarm in 100,000 runs; the seeds are fixed, so a run that passes keeps passing.
SIGNIFICANCE = 1e-5


def params(**options):
    return SamplingParams(max_new_tokens=1, **options)


def p_value(counts, probs):
    """Chi-square against `probs`; cells of probability zero must be empty."""
    assert (counts[probs == 0] == 0).all()
    is_possible = probs > 0
    expected = probs[is_possible] * counts.sum()
    return stats.chisquare(counts[is_possible].numpy(), expected.numpy()).pvalue


def distribution(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(VOCAB, generator=generator, dtype=torch.float64).mul(1.5).softmax(0)


def test_greedy_is_the_argmax_and_ties_go_to_the_lowest_id():
    probs = probabilities(torch.tensor([[1.0, 3.0, 3.0], [5.0, 5.0, 5.0]]), params())
    assert probs.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_temperature_divides_the_logits():
    logits = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    expected = torch.exp(logits / 0.5) / torch.exp(logits / 0.5).sum()
    torch.testing.assert_close(probabilities(logits, params(temperature=0.5)), expected)


def test_top_k_keeps_exactly_k_also_among_equals():
    probs = probabilities(torch.tensor([1.0, 1.0, 1.0, 0.0]), params(temperature=1.0, top_k=2))
    assert (probs > 0).sum() == 2
    assert probs.sum() == pytest.approx(1)
    everything = probabilities(torch.tensor([1.0, 0.0]), params(temperature=1.0, top_k=99))
    assert (everything > 0).all()


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64).log()

    def kept(top_p):
        return probabilities(logits, params(temperature=1.0, top_p=top_p)).tolist()

    assert kept(0.4) == pytest.approx([1, 0, 0, 0])
    assert kept(0.6) == pytest.approx([0.625, 0.375, 0, 0])
    assert kept(0.9) == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0])
    assert kept(1.0) == pytest.approx([0.5, 0.3, 0.15, 0.05])


def test_top_k_comes_before_top_p():
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64).log()
    probs = probabilities(logits, params(temperature=1.0, top_k=2, top_p=0.55))
    assert probs.tolist() == pytest.approx([1, 0, 0, 0])  # 0.4 / 0.7 alone reaches 0.55


def test_greedy_verification_by_hand():
    # The target would say 1, 2, 3, 4 after the pending token and each drafted one.
    logits = torch.nn.functional.one_hot(torch.tensor([1, 2, 3, 4]), VOCAB).double()
    logits = logits.expand(5, -1, -1)
    drafted = torch.tensor([[1, 2, 3], [1, 2, 7], [7, 2, 3], [1, 7, 3], [1, 2, 3]])
    num_accepted, own = verify_greedy(logits, drafted, torch.tensor([3, 3, 3, 3, 1]))
    assert num_accepted.tolist() == [3, 2, 0, 1, 1]
    assert own.tolist() == [4, 3, 1, 2, 2]


@pytest.mark.parametrize("kind", ["sampled", "greedy", "fixed", "shorter"])
def test_verified_tokens_follow_the_target(kind):
    """Chi-square over 200,000 draws: the first token, the next after acceptance, and the bonus."""
    generator = torch.Generator().manual_seed(3)
    p = torch.stack([distribution(10), distribution(11), distribution(12)])
    q = torch.stack([distribution(20), distribution(21)])
    if kind == "sampled":
        drafted = torch.stack([row.multinomial(DRAWS, True, generator=generator) for row in q], 1)
        draft_probs = q.expand(DRAWS, -1, -1)
    else:
        # The target's favourites: accepted often enough to see the later positions.
        drafted = p[:2].argmax(-1).expand(DRAWS, -1)
        draft_probs = None
    num_drafted = torch.full((DRAWS,), 2)
    if kind == "greedy":
        draft_probs = torch.nn.functional.one_hot(drafted, VOCAB).double()
    if kind == "shorter":
        num_drafted = torch.arange(DRAWS) % 3
    num_accepted, own = verify_sampled(
        p.expand(DRAWS, -1, -1), draft_probs, drafted, num_drafted, generator
    )
    emitted = torch.cat([drafted, own[:, None]], 1).scatter(1, num_accepted[:, None], own[:, None])
    for position in range(3):
        is_emitted = num_accepted >= position
        assert is_emitted.sum() > 2_000
        counts = emitted[is_emitted, position].bincount(minlength=VOCAB)
        assert p_value(counts, p[position]) > SIGNIFICANCE
    if kind == "sampled":
        overlap = torch.minimum(p[0], q[0]).sum()
        assert (num_accepted > 0).double().mean() == pytest.approx(overlap.item(), abs=5e-3)
    if kind == "fixed":
        assert (num_accepted > 0).double().mean() == pytest.approx(
            p[0, drafted[0, 0]].item(), abs=5e-3
        )


def test_chi_square_sees_a_sampler_that_forgets_the_residual():
    """The same test rejects drawing from p, not from p - q, after a refusal."""
    generator = torch.Generator().manual_seed(3)
    p, q = distribution(10), distribution(20)
    drafted = q.multinomial(DRAWS, True, generator=generator)
    uniform = torch.rand(DRAWS, generator=generator, dtype=torch.float64)
    is_accepted = uniform * q[drafted] < p[drafted]
    emitted = torch.where(is_accepted, drafted, p.multinomial(DRAWS, True, generator=generator))
    assert p_value(emitted.bincount(minlength=VOCAB), p) < SIGNIFICANCE


def test_equal_distributions_accept_everything():
    generator = torch.Generator().manual_seed(0)
    p = distribution(10).float().expand(1000, 3, VOCAB)
    drafted = p[:, 0].multinomial(2, True, generator=generator)
    num_accepted, _ = verify_sampled(p, p[:, :2], drafted, torch.full((1000,), 2), generator)
    assert (num_accepted == 2).all()


@pytest.fixture(scope="module")
def target():
    return tiny_llama(
        vocab_size=VOCAB, hidden_size=16, num_layers=1, num_heads=2, num_key_value_heads=1
    )


@pytest.fixture(scope="module")
def draft():
    return tiny_llama(
        vocab_size=VOCAB, hidden_size=8, num_layers=1, num_heads=2, num_key_value_heads=1, seed=4
    )


def triple_probabilities(model, prompt, options):
    """Exact probability of each answer of three tokens, `[VOCAB ** 3]`."""
    answers = torch.cartesian_prod(*[torch.arange(VOCAB)] * 3)
    ids = torch.cat([torch.tensor(prompt).expand(len(answers), -1), answers], dim=1)
    with torch.inference_mode():
        logits = model(ids).logits[:, len(prompt) - 1 : -1].double()
    probs = probabilities(logits, options)
    return probs.gather(-1, answers[..., None]).squeeze(-1).prod(-1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("sampled", {"temperature": 1.0}),
        ("sampled", {"temperature": 0.8, "top_p": 0.9}),
        ("restricted", {"temperature": 1.0}),
        ("ngram", {"temperature": 1.0}),
        ("store", {"temperature": 1.0}),
        ("combined", {"temperature": 1.0}),
    ],
)
def test_answers_of_the_engine_follow_the_target(target, draft, kind, options):
    """Whole answers of three tokens, 50,000 of them, against their exact probabilities."""
    proposer = {
        "sampled": DraftModelProposer(draft),
        "restricted": DraftModelProposer(draft, output_ids=[1, 3, 6]),
        "ngram": NGramProposer(),
        "store": StoreProposer(AnswerStore(STORED, min_match=1)),
        # After most first tokens one row of the batch is looked up and another one drafted.
        "combined": CombinedProposer(
            NGramProposer(min_ngram=2),
            AnswerStore(STORED, min_match=2),
            DraftModelProposer(draft),
            max_lookup_tokens=2,
            max_draft_tokens=1,
        ),
    }[kind]
    prompt, num_draws = [3, 5, 3, 6, 3], 50_000
    sampling = SamplingParams(max_new_tokens=3, seed=11, **options)
    engine = SpeculativeEngine(target, proposer, num_speculative_tokens=2, max_batch_size=num_draws)
    completions = engine.generate([prompt] * num_draws, sampling)
    answers = torch.tensor([completion.token_ids for completion in completions])
    counts = (answers * torch.tensor([VOCAB**2, VOCAB, 1])).sum(1).bincount(minlength=VOCAB**3)
    exact = triple_probabilities(target, prompt, sampling)
    assert exact.sum().item() == pytest.approx(1, abs=1e-6)
    # Cells with few expected draws make chi-square unreliable; they are judged together.
    is_rare = (exact > 0) & (exact * num_draws < 10)
    merged_counts = torch.cat([counts[~is_rare], counts[is_rare].sum()[None]])
    merged_exact = torch.cat([exact[~is_rare], exact[is_rare].sum()[None]])
    assert p_value(merged_counts, merged_exact / merged_exact.sum()) > SIGNIFICANCE
    accepted = sum(completion.speculation.num_accepted_tokens for completion in completions)
    assert accepted > 0.02 * num_draws
