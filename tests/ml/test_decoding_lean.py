"""The kernel gives transformers' numbers, and the same bits whatever is beside a row."""

import random
from contextlib import contextmanager

import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.kv_cache import CachedModel
from pipeline.decoding.lean import build
from pipeline.decoding.lean.model import ROWS_AT_A_TIME, LeanRunner
from pipeline.decoding.lean.served import refusal
from pipeline.decoding.losslessness import in_float64
from pipeline.decoding.runner import kernel_allowed, open_runner
from pipeline.errors import DecodingError
from tests.ml.lean_models import MODELS, VOCAB_SIZE, lean_model, require_kernel

NUM_TOKENS = 40

pytestmark = pytest.mark.usefixtures("kernel")


@pytest.fixture(scope="module", autouse=True)
def kernel():
    require_kernel()


@contextmanager
def threads(number):
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def random_tokens(source, count):
    return [source.randrange(VOCAB_SIZE) for _ in range(count)]


def lean_runner(model, **options):
    runner = open_runner(model, **options)
    assert isinstance(runner, LeanRunner), refusal(model)
    return runner


@torch.inference_mode()
def logits_one_by_one(model, tokens):
    """After each token, decoded alone: `[len(tokens), V]`."""
    runner = lean_runner(model, batch_size=1, capacity=len(tokens))
    steps = [runner.forward(torch.tensor([[token]]), num_logits=1)[0, 0] for token in tokens]
    return torch.stack(steps)


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(name):
    """Against float64, the error is of the size that transformers' own float32 has."""
    model = lean_model(name)
    source = random.Random(1)
    prompts = [random_tokens(source, count) for count in (1, 2, 17, 90)]
    with torch.inference_mode():
        found = lean_runner(model, batch_size=4, capacity=90).prefill(prompts)
        whole = [model(torch.tensor([prompt])).logits[0, -1] for prompt in prompts]
    with in_float64(model), torch.inference_mode():
        exact = [model(torch.tensor([prompt])).logits[0, -1] for prompt in prompts]
    for ours, theirs, expected in zip(found, whole, exact, strict=True):
        error = (ours - expected).abs().max().item()
        assert error < 4 * (theirs - expected).abs().max().item() + 2e-6
        assert error < 2e-5 * expected.abs().max().item()


def sequences(model, count, *, start):
    """Random tokens and the logits after each, for `count` sequences."""
    source = random.Random(start)
    tokens = [random_tokens(source, NUM_TOKENS) for _ in range(count)]
    return tokens, [logits_one_by_one(model, each) for each in tokens]


@pytest.fixture(scope="module", params=MODELS)
def reference(request):
    model = lean_model(request.param)
    return model, *sequences(model, 8, start=2)


@seed(20261128)
@settings(
    max_examples=8,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_sequence_has_the_same_bits_in_any_company(reference, data):
    """Rows 1 to 8 at a time, batches of 1 to 8, roll backs, dropped rows, any capacity, threads."""
    model, tokens, expected = reference
    owners = data.draw(st.permutations(range(8)))[: data.draw(st.integers(1, 8))]
    capacity = NUM_TOKENS + data.draw(st.integers(8, 60))
    source = random.Random(data.draw(st.integers(0, 10**6)))
    with torch.inference_mode(), threads(data.draw(st.sampled_from([1, 2]))):
        runner = lean_runner(model, batch_size=len(owners), capacity=capacity)
        starts = [source.randint(1, NUM_TOKENS - 8) for _ in owners]
        logits = runner.prefill(
            [tokens[own][:end] for own, end in zip(owners, starts, strict=True)]
        )
        for row, (own, end) in enumerate(zip(owners, starts, strict=True)):
            assert torch.equal(logits[row], expected[own][end - 1])
        for _ in range(6):
            before = list(runner.cache.lengths)
            width = min(source.randint(1, 8), NUM_TOKENS - max(before))
            if width < 1:
                break
            # Each row reads its own next tokens, and behind some of them others.
            right = [source.randint(0, width) for _ in owners]
            inputs = [
                tokens[own][at : at + good] + random_tokens(source, width - good)
                for own, at, good in zip(owners, before, right, strict=True)
            ]
            logits = runner.forward(torch.tensor(inputs), num_logits=width)
            for row, (own, at, good) in enumerate(zip(owners, before, right, strict=True)):
                assert torch.equal(logits[row, :good], expected[own][at : at + good])
            runner.cache.roll_back([at + good for at, good in zip(before, right, strict=True)])
            rows = sorted(source.sample(range(len(owners)), source.randint(1, len(owners))))
            runner.cache.keep_rows(rows)
            owners = [owners[row] for row in rows]


def test_a_prompt_longer_than_a_pass_has_the_same_bits():
    model = lean_model("llama", max_position_embeddings=512)
    tokens = random_tokens(random.Random(3), ROWS_AT_A_TIME + 30)
    others = [random_tokens(random.Random(4), count) for count in (100, 7)]
    with torch.inference_mode():
        runner = lean_runner(model, batch_size=3, capacity=300)
        logits = runner.prefill([others[0], tokens, others[1]])
    assert torch.equal(logits[1], logits_one_by_one(model, tokens)[-1])


def test_a_wide_model_on_two_threads_has_the_same_bits():
    """Wide enough for threads to share the products."""
    model = lean_model("tied", hidden_size=320, intermediate_size=480, vocab_size=4003)
    tokens = random_tokens(random.Random(5), 24)
    with threads(1):
        expected = logits_one_by_one(model, tokens)
    with threads(2), torch.inference_mode():
        for width in range(1, 9):
            runner = lean_runner(model, batch_size=3, capacity=24)
            runner.prefill([tokens[:4], tokens[:16], tokens[:7]])
            rows = [tokens[at : at + width] for at in (4, 16, 7)]
            logits = runner.forward(torch.tensor(rows), num_logits=width)
            for row, at in enumerate((4, 16, 7)):
                assert torch.equal(logits[row], expected[at : at + width])


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_a_restricted_output_layer_has_the_bits_of_the_full_one(name):
    model = lean_model(name)
    prompts = [[5, 6, 7], [8]]
    with torch.inference_mode():
        full = lean_runner(model, batch_size=2, capacity=8).prefill(prompts)
        for output_ids in (torch.tensor([0, 1, 15, 16, 40, 66]), torch.arange(3, 60)):
            runner = lean_runner(model, batch_size=2, capacity=8, output_ids=output_ids)
            assert torch.equal(runner.prefill(prompts), full[:, output_ids])


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_an_answer_does_not_depend_on_slots_or_neighbours(temperature):
    """Endings are early and late, so that rows are filled again; log-probabilities included."""
    model = lean_model("qwen2")
    source = random.Random(6)
    prompts = [random_tokens(source, source.randint(1, 30)) for _ in range(30)]
    params = SamplingParams(
        max_new_tokens=20,
        temperature=temperature,
        stop_token_ids=tuple(range(5)),
        num_logprobs=4,
        seed=3,
    )

    def answers(chosen, max_batch_size):
        completions = AutoregressiveEngine(model, max_batch_size=max_batch_size).generate(
            chosen, params
        )
        return [(one.token_ids, one.logprobs, one.finish_reason) for one in completions]

    expected = answers(prompts, 1)
    lengths = {len(answer[0]) for answer in expected}
    assert len(lengths) > 5
    for max_batch_size in (2, 7, None):
        assert answers(prompts, max_batch_size) == expected
    if temperature == 0:
        assert answers(prompts[::-1], 5) == expected[::-1]
    else:  # by its place in the call
        assert answers(prompts[:9], 5) == expected[:9]


def test_the_kernel_s_answers_are_those_of_transformers():
    model = lean_model("mistral_window")
    source = random.Random(7)
    prompts = [random_tokens(source, source.randint(1, 30)) for _ in range(30)]
    params = SamplingParams(max_new_tokens=20)
    ours = AutoregressiveEngine(model).generate(prompts, params)
    theirs = AutoregressiveEngine(model, lean=False).generate(prompts, params)
    same = sum(a.token_ids == b.token_ids for a, b in zip(ours, theirs, strict=True))
    assert same >= 29  # a near tie is possible


def test_changed_weights_are_packed_again():
    model = lean_model("llama")

    def error():
        with torch.inference_mode():
            found = lean_runner(model, batch_size=1, capacity=4).prefill([[5, 6]])
            return (found - model(torch.tensor([[5, 6]])).logits[:, -1]).abs().max()

    assert error() < 1e-4
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight.mul_(1.5)
    assert error() < 1e-4
    with in_float64(model), torch.inference_mode():
        assert isinstance(open_runner(model, batch_size=1, capacity=4), CachedModel)
    assert error() < 1e-4
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() * 2)
    assert error() < 1e-4


def with_hook(model):
    model.model.layers[0].register_forward_hook(lambda *_: None)
    return model


def with_adapter(model):
    class Adapted(torch.nn.Linear):
        pass

    attention = model.model.layers[1].self_attn
    attention.q_proj = Adapted(32, 64, bias=False)
    return model


def with_other_forward(model):
    model.model.norm.forward = lambda states: states
    return model


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: lean_model("llama").double(), "float32"),
        (lambda: lean_model("llama").to(torch.bfloat16), "float32"),
        (lambda: lean_model("llama").train(), "trained"),
        (lambda: lean_model("llama", hidden_act="gelu"), "SwiGLU"),
        (lambda: lean_model("llama", mlp_bias=True), "SwiGLU"),
        (lambda: lean_model("llama", head_dim=8), "multiples"),
        (lambda: lean_model("llama", intermediate_size=40), "multiples"),
        (
            lambda: lean_model("llama", rope_parameters={
                "rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0,
            }),
            "angles",
        ),
        (lambda: with_hook(lean_model("llama")), "changed"),
        (lambda: with_other_forward(lean_model("llama")), "changed"),
        (lambda: with_adapter(lean_model("llama")), "Adapted"),
    ],
)  # fmt: skip
def test_what_the_kernel_does_not_serve_goes_the_other_way(make, why):
    model = make()
    assert why in refusal(model)
    assert isinstance(open_runner(model, batch_size=1, capacity=4), CachedModel)


def test_a_model_above_the_limit_goes_the_other_way(monkeypatch):
    model = lean_model("llama")
    monkeypatch.setattr("pipeline.decoding.lean.served.MAX_PARAMETERS", 1000)
    assert "more than 1000" in refusal(model)


def test_where_it_is_not_allowed_it_is_not_used():
    model = lean_model("llama")
    with kernel_allowed(False), kernel_allowed(True):
        assert isinstance(open_runner(model, batch_size=1, capacity=4), CachedModel)
    lean_runner(model, batch_size=1, capacity=4)


def test_weights_that_are_no_numbers_give_no_numbers():
    model = lean_model("llama")
    with torch.no_grad():
        model.model.layers[0].self_attn.k_proj.weight[0, 0] = float("nan")
    with torch.inference_mode():
        logits = lean_runner(model, batch_size=1, capacity=4).prefill([[5, 6]])
    assert logits.isnan().all()


def test_misuse_is_refused():
    model = lean_model("llama")
    with torch.inference_mode():
        runner = lean_runner(model, batch_size=1, capacity=20)
        with pytest.raises(IndexError, match="vocabulary"):
            runner.forward(torch.tensor([[VOCAB_SIZE]]), num_logits=1)
        with pytest.raises(IndexError, match="vocabulary"):
            runner.forward(torch.tensor([[-1]]), num_logits=1)
        with pytest.raises(DecodingError, match="cache of 20") as info:
            runner.prefill([[5] * 21])
        assert info.value.code == "decode.context_too_long"
        runner.prefill([[5] * 20])
        with pytest.raises(ValueError, match="roll back"):
            runner.cache.roll_back([21])


@pytest.mark.parametrize("fault", ["missing", "directory", "file"])
def test_without_a_library_of_its_own_the_other_path_answers(monkeypatch, tmp_path, fault):
    """It was not built, or lies where others may have written it: the answers are the same."""
    model = lean_model("llama")
    params = SamplingParams(max_new_tokens=12)
    expected = AutoregressiveEngine(model).generate([[5, 6, 7]], params)
    copy = tmp_path / "kernel.so"
    if fault != "missing":
        copy.write_bytes(build.kernel_path().read_bytes())
    tmp_path.chmod(0o777 if fault == "directory" else 0o755)
    if fault != "missing":
        copy.chmod(0o666 if fault == "file" else 0o644)
    monkeypatch.setattr(build, "kernel_path", lambda: copy)
    build.load.cache_clear()
    try:
        assert isinstance(open_runner(model, batch_size=1, capacity=4), CachedModel)
        found = AutoregressiveEngine(model).generate([[5, 6, 7]], params)
    finally:
        build.load.cache_clear()
    assert found[0].token_ids == expected[0].token_ids
