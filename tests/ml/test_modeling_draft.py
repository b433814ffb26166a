"""A fresh draft fits its target, is repeatable and knows how the target's tokens relate."""

import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.errors import ModelError
from pipeline.modeling.draft import build_draft, cut_draft, low_rank_embeddings
from pipeline.modeling.loading import load_model
from pipeline.modeling.tiny import tiny_llama


@pytest.fixture(scope="module")
def target():
    return tiny_llama(num_layers=4)


def test_draft_has_the_asked_shape_and_the_targets_vocabulary(target):
    draft = build_draft(target, num_layers=2, hidden_size=32)
    config = draft.config
    assert (config.vocab_size, config.num_hidden_layers, config.hidden_size) == (259, 2, 32)
    assert config.max_position_embeddings == target.config.max_position_embeddings
    assert (config.eos_token_id, config.head_dim) == (2, 16)
    assert config.rope_parameters["rope_theta"] == target.config.rope_parameters["rope_theta"]
    assert draft.lm_head.weight is draft.model.embed_tokens.weight
    assert not draft.training


def test_seed_decides_the_layers_and_nothing_else_changes(target):
    state = torch.random.get_rng_state()
    first, again = (
        build_draft(target, hidden_size=32, seed=1),
        build_draft(target, hidden_size=32, seed=1),
    )
    other = build_draft(target, hidden_size=32, seed=2)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    up_proj = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(first.state_dict()[up_proj], other.state_dict()[up_proj])
    assert torch.equal(first.model.embed_tokens.weight, other.model.embed_tokens.weight)


def test_embeddings_are_the_best_low_rank_factor():
    """Inner products of tokens are those of the truncated SVD, the best there are."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(50, 12, generator=generator, dtype=torch.float64)
    factor = low_rank_embeddings(matrix, 5)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    best = (u[:, :5] * s[:5]) @ vh[:5]
    torch.testing.assert_close(factor @ factor.T, best @ best.T)
    full = low_rank_embeddings(matrix, 12)
    torch.testing.assert_close(full @ full.T, matrix @ matrix.T)
    columns = factor.norm(dim=0)
    torch.testing.assert_close(columns, s[:5])


def test_a_fresh_draft_guesses(target):
    """It is nearly uniform, and does not expect its input again as shared embeddings would."""
    draft = build_draft(target, hidden_size=32)
    ids = torch.arange(3, 259)[None]
    with torch.no_grad():
        logprobs = draft(ids).logits[0].log_softmax(-1)
    uniform = torch.log(torch.tensor(259.0))
    assert -logprobs.mean() < uniform + 2.0
    repeated = logprobs.gather(1, ids.T).exp().mean()
    assert repeated < 0.1


def test_saved_draft_loads_and_drafts_for_the_target(target, tmp_path):
    build_draft(target, num_layers=1, hidden_size=16).save_pretrained(tmp_path)
    draft = load_model(tmp_path)
    engine = SpeculativeEngine(target, DraftModelProposer(draft), num_speculative_tokens=2)
    completion = engine.generate([[5, 6]], SamplingParams(max_new_tokens=8))[0]
    assert len(completion.token_ids) == 8


def test_targets_of_other_families_get_a_llama_draft():
    config = Gemma3TextConfig(
        vocab_size=100,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        sliding_window=8,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    target = Gemma3ForCausalLM(config).eval()
    draft = build_draft(target, hidden_size=24)
    assert draft.config.vocab_size == 100
    engine = SpeculativeEngine(target, DraftModelProposer(draft), num_speculative_tokens=2)
    assert len(engine.generate([[5]], SamplingParams(max_new_tokens=5))[0].token_ids) == 5


def test_layers_are_cut_out_of_the_target_from_its_first_to_its_last(target):
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    draft = cut_draft(target, num_layers=3, hidden_size=64)
    config = draft.config
    assert (config.vocab_size, config.num_hidden_layers, config.hidden_size) == (259, 3, 64)
    assert draft.lm_head.weight is draft.model.embed_tokens.weight
    found = draft.state_dict()
    for layer, of_target in enumerate((0, 2, 3)):
        names = [name for name in before if name.startswith(f"model.layers.{of_target}.")]
        assert names
        for name in names:
            own = name.replace(f"layers.{of_target}.", f"layers.{layer}.")
            assert torch.equal(found[own], before[name])
    assert torch.equal(found["model.embed_tokens.weight"], before["model.embed_tokens.weight"])
    with torch.no_grad():
        draft.model.embed_tokens.weight.zero_()  # a copy: training it leaves the target alone
    assert all(torch.equal(target.state_dict()[name], before[name]) for name in before)


def test_all_layers_are_the_target_itself(target):
    draft = cut_draft(target, num_layers=4, hidden_size=64)
    ids = torch.arange(3, 60)[None]
    with torch.no_grad():
        assert torch.equal(draft(ids).logits, target(ids).logits)


def test_layers_cut_out_of_a_target_of_mixed_layers_keep_their_kinds():
    config = Gemma3TextConfig(
        vocab_size=100, hidden_size=48, intermediate_size=96, num_hidden_layers=4,
        num_attention_heads=2, num_key_value_heads=1, head_dim=32, sliding_window=8,
        max_position_embeddings=64, pad_token_id=0,
        layer_types=["sliding_attention", "full_attention"] * 2,
    )  # fmt: skip
    target = Gemma3ForCausalLM(config).eval()
    draft = cut_draft(target, num_layers=2, hidden_size=48)
    assert draft.config.layer_types == ["sliding_attention", "full_attention"]
    engine = SpeculativeEngine(target, DraftModelProposer(draft), num_speculative_tokens=2)
    assert len(engine.generate([[5]], SamplingParams(max_new_tokens=5))[0].token_ids) == 5


@pytest.mark.parametrize(("num_layers", "hidden_size"), [(5, 64), (2, 32)])
def test_a_cut_that_does_not_fit_is_refused(target, num_layers, hidden_size):
    with pytest.raises(ModelError, match=f"{num_layers} layers of width {hidden_size}") as info:
        cut_draft(target, num_layers=num_layers, hidden_size=hidden_size)
    assert info.value.code == "model.unsupported"


@pytest.mark.parametrize("hidden_size", [4, 33, 128])
def test_widths_that_do_not_fit_are_refused(target, hidden_size):
    with pytest.raises(ModelError, match=f"width {hidden_size} does not fit") as info:
        build_draft(target, hidden_size=hidden_size)
    assert info.value.code == "model.unsupported"
