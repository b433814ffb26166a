"""The few-row product gives the numbers of `F.linear` and leaves no trace in the model."""

import pytest
import torch
from torch import nn

from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.linear import fast_small_batch_linear, small_batch_linear
from pipeline.modeling.tiny import tiny_llama


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 5), (2, 3), (8, 1), (9, 1), (1, 40), (0, 1)])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("in_features", [48, 1536])
def test_result_is_that_of_a_linear_layer(shape, has_bias, in_features):
    torch.manual_seed(0)
    layer = nn.Linear(in_features, 96, bias=has_bias)
    inputs = torch.randn(*shape, in_features)
    result = small_batch_linear(layer, inputs)
    torch.testing.assert_close(result, layer(inputs), atol=1e-5, rtol=1e-5)
    assert result.is_contiguous()


def test_inputs_need_not_be_contiguous():
    layer = nn.Linear(48, 96)
    inputs = torch.randn(48, 4).t()
    torch.testing.assert_close(small_batch_linear(layer, inputs), layer(inputs))


def swapped_layers(model):
    return [layer for layer in model.modules() if "forward" in vars(layer)]


def test_layers_are_swapped_inside_and_restored_outside():
    model = tiny_llama()
    num_linear = sum(type(layer) is nn.Linear for layer in model.modules())
    with fast_small_batch_linear(model), fast_small_batch_linear(model):
        assert len(swapped_layers(model)) == num_linear
    assert not swapped_layers(model)
    with pytest.raises(KeyError), fast_small_batch_linear(model):
        raise KeyError
    assert not swapped_layers(model)


def test_other_dtypes_are_left_alone():
    model = tiny_llama(dtype=torch.float64)
    with fast_small_batch_linear(model):
        assert not swapped_layers(model)


def test_engines_use_it_while_they_decode_and_only_then():
    model = tiny_llama()
    seen = []
    hook = model.model.layers[0].register_forward_hook(
        lambda *_: seen.append(len(swapped_layers(model)))
    )
    AutoregressiveEngine(model).generate([[5, 6, 7]], SamplingParams(max_new_tokens=3))
    hook.remove()
    assert min(seen) > 0
    assert not swapped_layers(model)
