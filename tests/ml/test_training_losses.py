"""The loss of a packed row is that of its documents alone, and the chunked one is exact."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.data.tokenize import IGNORED_LABEL
from pipeline.errors import ModelError
from pipeline.modeling.tiny import TINY_VOCAB_SIZE, tiny_llama
from pipeline.training.batches import PackedBatch, packed_batch
from pipeline.training.losses import (
    cross_entropy_loss,
    linear_cross_entropy,
    require_linear_head,
)

LENGTHS = (5, 17, 2, 30)


def documents(lengths=LENGTHS, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(3, TINY_VOCAB_SIZE, size=length) for length in lengths]


def row_of(token_ids: list[np.ndarray]) -> PackedBatch:
    return packed_batch([(ids, ids) for ids in token_ids], row_ids=["r"], tokens_by_source={})


def logits(model, batch: PackedBatch, **arguments) -> torch.Tensor:
    with torch.no_grad():
        return model(
            input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False, **arguments
        ).logits[0]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_packed_logits_are_those_of_the_documents_alone(dtype, tolerance: float) -> None:
    model = tiny_llama(dtype=dtype)
    token_ids = documents()
    packed = logits(model, row_of(token_ids)).split(LENGTHS)
    for ids, packed_logits in zip(token_ids, packed, strict=True):
        alone = logits(model, row_of([ids]))
        assert (packed_logits - alone).abs().max() < tolerance


def test_an_attention_mask_of_ones_would_mix_documents() -> None:
    # Why no mask is passed anywhere: with one, position_ids no longer separate documents.
    model = tiny_llama(dtype=torch.float64)
    batch = row_of(documents())
    masked = logits(model, batch, attention_mask=torch.ones_like(batch.input_ids))
    assert (masked - logits(model, batch)).abs().max() > 1e-2


def test_a_documents_first_token_is_not_predicted_from_the_document_before() -> None:
    token_ids = documents()
    batch = row_of(token_ids)
    starts = [0, 5, 22, 24]
    assert batch.position_ids[0, starts].tolist() == [0, 0, 0, 0]
    assert batch.labels[0, starts].tolist() == [IGNORED_LABEL] * 4
    assert (batch.labels[0] == IGNORED_LABEL).sum() == 4
    model = tiny_llama(dtype=torch.float64)
    packed, num_tokens = cross_entropy_loss(model, batch)
    alone = sum(cross_entropy_loss(model, row_of([ids]))[0] for ids in token_ids)
    assert num_tokens == sum(LENGTHS) - 4
    torch.testing.assert_close(packed, alone, rtol=0, atol=1e-9)


def test_loss_is_that_of_the_library() -> None:
    model = tiny_llama(dtype=torch.float64)
    batch = row_of(documents((40,)))
    expected = model(input_ids=batch.input_ids, labels=batch.labels).loss
    loss_sum, num_tokens = cross_entropy_loss(model, batch)
    torch.testing.assert_close(loss_sum / num_tokens, expected.double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("chunk_tokens", [1, 7, 64])
def test_chunked_loss_and_gradients_are_exact(chunk_tokens: int) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(20, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(50, 8, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(50, (20,))
    expected = functional.cross_entropy(hidden @ weight.T, labels, reduction="sum")
    expected_gradients = torch.autograd.grad(2 * expected, (hidden, weight))
    loss = linear_cross_entropy(hidden, weight, labels, chunk_tokens=chunk_tokens)
    gradients = torch.autograd.grad(2 * loss, (hidden, weight))
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-12)
    for gradient, reference in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=0, atol=1e-12)


def test_autocast_computes_in_bfloat16_and_sums_in_float32() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(20, 8, requires_grad=True)
    weight = torch.randn(50, 8, requires_grad=True)
    labels = torch.randint(50, (20,))
    exact = linear_cross_entropy(hidden, weight, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(hidden, weight, labels)
    loss.backward()
    assert loss.dtype == hidden.grad.dtype == weight.grad.dtype == torch.float32
    assert 0 < abs(loss - exact) < 0.02 * exact


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements any operator returned."""

    num_elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.num_elements = max(self.num_elements, result.numel())
        return result


def test_logits_of_a_whole_row_never_exist() -> None:
    model = tiny_llama(vocab_size=5000)
    batch = row_of(documents((300,)))
    with LargestTensor() as largest:
        cross_entropy_loss(model, batch)[0].backward()
    assert largest.num_elements <= 128 * 5000
    with LargestTensor() as largest:
        model(input_ids=batch.input_ids, labels=batch.labels).loss.backward()
    assert largest.num_elements >= 300 * 5000  # what the library does


def test_nothing_is_computed_for_positions_without_a_label() -> None:
    model = tiny_llama(vocab_size=5000)
    [ids] = documents((100,))
    labels = np.full_like(ids, IGNORED_LABEL)
    labels[-3:] = ids[-3:]
    batch = packed_batch([(ids, labels)], row_ids=["r"], tokens_by_source={})
    with torch.no_grad(), LargestTensor() as largest:
        assert cross_entropy_loss(model, batch)[1] == 3
    assert largest.num_elements < 100 * 5000  # the weight itself is the largest, 64 x 5000


def test_head_that_is_not_linear_is_refused() -> None:
    model = tiny_llama()
    require_linear_head(model)
    model.lm_head.register_forward_hook(lambda _module, _args, output: 30 * torch.tanh(output / 30))
    with pytest.raises(ModelError, match="llama is not a plain linear layer") as caught:
        require_linear_head(model)
    assert caught.value.code == "model.unsupported"
