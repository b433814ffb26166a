"""The autoregressive engine equals transformers' `generate` in any batch, and keeps its limits."""

import random
from contextlib import nullcontext

import pytest
import torch
import transformers

from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.batching import fill_holes
from pipeline.decoding.kv_cache import CachedModel
from pipeline.decoding.linear import fast_small_batch_linear
from pipeline.decoding.runner import open_runner
from pipeline.errors import DecodingError
from pipeline.modeling.tiny import tiny_llama


def random_prompts(count, *, seed=0, longest=40):
    source = random.Random(seed)
    return [
        [source.randrange(259) for _ in range(source.randint(1, longest))] for _ in range(count)
    ]


def transformers_greedy(model, prompt, max_new_tokens):
    ids = torch.tensor([prompt])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=None,
    )
    return tuple(output[0, len(prompt) :].tolist())


@pytest.fixture(scope="module")
def model():
    return tiny_llama(dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("max_batch_size", [1, 8])
def test_greedy_equals_transformers_token_for_token(model, max_batch_size):
    prompts = random_prompts(16)
    engine = AutoregressiveEngine(model, max_batch_size=max_batch_size)
    completions = engine.generate(prompts, SamplingParams(max_new_tokens=20))
    for prompt, completion in zip(prompts, completions, strict=True):
        assert completion.token_ids == transformers_greedy(model, prompt, 20)
        assert completion.finish_reason == "length"


def test_sequences_that_stop_early_leave_the_others_unchanged(model):
    prompts = random_prompts(9, seed=1)
    engine = AutoregressiveEngine(model, max_batch_size=9)
    full = engine.generate(prompts, SamplingParams(max_new_tokens=30))
    # Tokens that occur in some answers and not in others, so that the batch thins out.
    stops = (full[0].token_ids[3], full[1].token_ids[7], full[2].token_ids[12])
    params = SamplingParams(max_new_tokens=30, stop_token_ids=stops)
    for before, after in zip(full, engine.generate(prompts, params), strict=True):
        places = [i for i, token in enumerate(before.token_ids) if token in stops]
        expected = before.token_ids[: places[0] + 1] if places else before.token_ids
        assert after.token_ids == expected
        assert after.finish_reason == ("stop" if places else "length")
    ignoring = SamplingParams(max_new_tokens=30, stop_token_ids=stops, ignore_stop=True)
    assert [c.token_ids for c in engine.generate(prompts, ignoring)] == [c.token_ids for c in full]


def small_model(architecture, **options):
    """A two-layer model of another family whose attention window is 8 tokens."""
    config = getattr(transformers, f"{architecture}Config")(
        vocab_size=259,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=128,
        sliding_window=8,
        pad_token_id=0,
        initializer_range=0.2,
        **options,
    )
    model_class = architecture.removesuffix("Text") + "ForCausalLM"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return getattr(transformers, model_class)(config).to(torch.float64).eval()


MIXED_LAYERS = {"layer_types": ["sliding_attention", "full_attention"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("Mistral", {}),
        ("Gemma3Text", MIXED_LAYERS),
        ("Qwen3", {"use_sliding_window": True, **MIXED_LAYERS}),
    ],
)
def test_models_with_sliding_windows_equal_transformers(architecture, options):
    model = small_model(architecture, **options)
    prompts = random_prompts(6, seed=2)
    completions = AutoregressiveEngine(model, max_batch_size=6).generate(
        prompts, SamplingParams(max_new_tokens=20)
    )
    for prompt, completion in zip(prompts, completions, strict=True):
        assert completion.token_ids == transformers_greedy(model, prompt, 20)


def test_holes_are_filled_from_the_end():
    assert fill_holes([False, True, False, False]) == [0, 3, 2]
    assert fill_holes([True, True, False]) == [2]
    assert fill_holes([True]) == []
    assert fill_holes([False, False]) == [0, 1]


def test_sampling_is_repeatable_and_follows_the_seed(model):
    engine = AutoregressiveEngine(model)
    prompts = random_prompts(4)

    def tokens(seed):
        params = SamplingParams(max_new_tokens=12, temperature=1.0, seed=seed)
        return [completion.token_ids for completion in engine.generate(prompts, params)]

    assert tokens(1) == tokens(1)
    assert tokens(1) != tokens(2)


def test_logprobs_are_those_of_an_uncached_pass(model):
    prompt = random_prompts(1)[0]
    params = SamplingParams(max_new_tokens=5, temperature=0.7, num_logprobs=3)
    completion = AutoregressiveEngine(model).generate([prompt], params)[0]
    ids = torch.tensor([[*prompt, *completion.token_ids]])
    with torch.inference_mode():
        expected = model(ids).logits.log_softmax(-1)[0, len(prompt) - 1 : -1]
    assert len(completion.logprobs) == 5
    for row, token, logprobs in zip(
        expected, completion.token_ids, completion.logprobs, strict=True
    ):
        assert logprobs.sampled_logprob == pytest.approx(row[token].item(), abs=1e-12)
        assert logprobs.token_ids == tuple(row.topk(3).indices.tolist())
        assert logprobs.logprobs == pytest.approx(row.topk(3).values.tolist(), abs=1e-12)


@pytest.mark.parametrize(
    ("prompt", "options", "code", "message"),
    [
        ([5] * 500, {"max_new_tokens": 13}, "decode.context_too_long", "context of 512"),
        ([], {}, "decode.unsupported_option", "empty"),
        ([259], {}, "decode.unsupported_option", "0 to 258"),
        ([-1], {}, "decode.unsupported_option", "0 to 258"),
        ([5], {"max_new_tokens": 0}, "decode.unsupported_option", "max_new_tokens is 0"),
        ([5], {"temperature": -0.5}, "decode.unsupported_option", "temperature is -0.5"),
        ([5], {"temperature": float("nan")}, "decode.unsupported_option", "temperature is nan"),
        ([5], {"top_k": 0}, "decode.unsupported_option", "top_k is 0"),
        ([5], {"top_p": 1.5}, "decode.unsupported_option", r"top_p is 1\.5"),
        ([5], {"num_logprobs": 260}, "decode.unsupported_option", "num_logprobs is 260"),
    ],
)
def test_what_cannot_be_honoured_is_refused(model, prompt, options, code, message):
    params = SamplingParams(**{"max_new_tokens": 4, **options})
    with pytest.raises(DecodingError, match=message) as info:
        AutoregressiveEngine(model).generate([[5], prompt], params)
    assert info.value.code == code


def test_context_is_used_to_the_last_token(model):
    params = SamplingParams(max_new_tokens=12)
    prompt = random_prompts(1, longest=500)[0]
    prompt = (prompt * 500)[:500]
    completion = AutoregressiveEngine(model).generate([prompt], params)[0]
    assert completion.token_ids == transformers_greedy(model, prompt, 12)


def test_no_prompts_give_no_completions(model):
    assert AutoregressiveEngine(model).generate([], SamplingParams(max_new_tokens=4)) == []


def test_rolled_back_tokens_leave_no_trace(model):
    """Rolling back different amounts per sequence and going on equals never having gone there."""
    prompts = [[5, 6, 7, 8], [9, 10], [11, 12, 13]]
    with torch.inference_mode():
        runner = CachedModel(model, batch_size=3, capacity=16)
        runner.prefill(prompts)
        junk = torch.randint(0, 259, (3, 5))
        runner.forward(junk, num_logits=1)
        runner.cache.roll_back([4, 3, 3])
        continued = runner.forward(torch.tensor([[20, 21], [22, 23], [24, 25]]), num_logits=2)
        full = [[5, 6, 7, 8, 20, 21], [9, 10, int(junk[1, 0]), 22, 23], [11, 12, 13, 24, 25]]
        for row, ids in enumerate(full):
            expected = model(torch.tensor([ids])).logits[0, -2:]
            torch.testing.assert_close(continued[row], expected, atol=1e-12, rtol=0)
        with pytest.raises(ValueError, match="roll back"):
            runner.cache.roll_back([7, 5, 5])


@pytest.mark.parametrize("is_fast", [False, True])
@pytest.mark.parametrize("architecture", ["Mistral", "Gemma2"])
def test_a_restricted_output_layer_gives_the_logits_of_its_tokens(architecture, is_fast):
    """Gemma's soft cap comes after the layer and must not be lost."""
    model = small_model(architecture).float()
    output_ids = torch.tensor([0, 3, 100, 101, 258])
    prompts = [[5, 6, 7], [9, 10]]
    swapping = fast_small_batch_linear(model) if is_fast else nullcontext()
    with torch.inference_mode(), swapping:
        full = open_runner(model, batch_size=2, capacity=8)
        restricted = open_runner(model, batch_size=2, capacity=8, output_ids=output_ids)
        pairs = [(full.prefill(prompts), restricted.prefill(prompts))]
        rows = torch.tensor([[20, 21], [22, 23]])
        pairs.append((full.forward(rows, num_logits=2), restricted.forward(rows, num_logits=2)))
        for expected, found in pairs:
            assert found.shape == (*expected.shape[:-1], 5)
            torch.testing.assert_close(found, expected[..., output_ids], atol=1e-5, rtol=0)
        # The model itself is as before.
        assert model(torch.tensor([[5]])).logits.shape[-1] == 259


def test_cache_serves_transformers_generate(model):
    """It is a transformers Cache: the library's own loop gives the same answer with it."""
    prompt = random_prompts(1)[0]
    ids = torch.tensor([prompt])
    cache = CachedModel(model, batch_size=1, capacity=len(prompt) + 10).cache
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        past_key_values=cache,
        max_new_tokens=10,
        do_sample=False,
        eos_token_id=None,
    )
    assert tuple(output[0, len(prompt) :].tolist()) == transformers_greedy(model, prompt, 10)


def test_cache_refuses_tokens_beyond_its_capacity(model):
    runner = CachedModel(model, batch_size=1, capacity=4)
    with pytest.raises(DecodingError, match="cache of 4") as info, torch.inference_mode():
        runner.prefill([[5, 6, 7, 8, 9]])
    assert info.value.code == "decode.context_too_long"
