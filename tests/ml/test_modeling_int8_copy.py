"""An int8 copy is the model but for rounding, in the form that its configuration declares."""

import json

import pytest
import torch
from safetensors.torch import load_file

from pipeline.contracts.decoding_spec import Int8DraftArm
from pipeline.contracts.references import Reference
from pipeline.decoding.arms import open_proposer
from pipeline.errors import DecodingError, ModelError
from pipeline.modeling.inspection import read_model
from pipeline.modeling.int8_copy import quantised, write_int8_copy
from pipeline.modeling.loading import load_model
from pipeline.modeling.tiny import save_tiny_model, tiny_llama


def test_rounding_is_to_the_nearest_of_255_steps_of_each_output() -> None:
    weight = torch.tensor([[1.27, -0.635, 0.004, 0.0], [0.0, 0.0, 0.0, 0.0]])
    values, scale = quantised(weight)
    assert values.tolist() == [[127, -64, 0, 0], [0, 0, 0, 0]]  # -63.5 goes to the even neighbour
    assert scale.flatten().tolist() == pytest.approx([0.01, 1.0])


def test_every_linear_layer_but_the_output_is_rounded_and_nothing_else(tmp_path) -> None:
    path = save_tiny_model(tmp_path / "draft")
    copy = write_int8_copy(path, tmp_path / "copy")
    weights = dict(load_model(path).named_parameters())
    stored = load_file(copy / "model.safetensors")
    rounded = {name for name, value in stored.items() if value.dtype == torch.int8}
    assert rounded == {name for name in weights if "_proj.weight" in name}
    for name, weight in weights.items():
        if name in rounded:
            scale = stored.pop(f"{name}_scale")
            error = (stored[name] * scale - weight).abs()
            assert (error <= scale / 2 + 1e-7).all()
        else:
            assert torch.equal(stored[name], weight)
    assert stored.keys() == weights.keys()
    config = json.loads((copy / "config.json").read_text())
    assert config.pop("quantization_config")["quant_method"] == "compressed-tensors"
    assert config == json.loads((path / "config.json").read_text())


def test_our_own_engines_refuse_it_by_name(tmp_path) -> None:
    path = save_tiny_model(tmp_path / "draft")
    with pytest.raises(ModelError, match="quantization_config"):
        read_model(write_int8_copy(path, tmp_path / "copy"))
    arm = Int8DraftArm(name="small", model=Reference(path=str(path)))
    with pytest.raises(DecodingError, match="engine 'torch' cannot draft") as raised:
        open_proposer(arm, tiny_llama())
    assert raised.value.code == "decode.unsupported_option"
