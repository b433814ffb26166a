"""A copy of a model whose linear layers vLLM multiplies in 8 bits (compressed-tensors, W8A8).

Weights have one scale for each output, symmetric, rounded to nearest; activations are scaled by
vLLM for each token as they come. Embeddings, norms and the output layer stay as they are, because a
draft is judged by its argmax. Our own engines read no such copy: it is made for the time in which
vLLM serves the draft, or written once for a server.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.modeling.inspection import read_model
from pipeline.modeling.loading import load_model

LARGEST = 127
QUANTIZATION_CONFIG = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {
                "num_bits": 8, "type": "int", "symmetric": True,
                "strategy": "channel", "dynamic": False,
            },
            "input_activations": {
                "num_bits": 8, "type": "int", "symmetric": True,
                "strategy": "token", "dynamic": True,
            },
        }
    },
}  # fmt: skip


@contextmanager
def int8_directory(model_path: Path) -> Iterator[Path]:
    """A directory with the int8 copy, for the time of the block.

    Raises:
        ModelError: as `write_int8_copy`.
    """
    with tempfile.TemporaryDirectory(prefix="int8-model-") as scratch:
        yield write_int8_copy(model_path, Path(scratch) / "model")


def write_int8_copy(model_path: Path, directory: Path) -> Path:
    """`directory`, which did not exist, holds the model of `model_path` with int8 linear layers.

    Memory: the model in float32 and its copy.

    Raises:
        ModelError: as `load_model`; `model.unsupported` for a single file (GGUF).
    """
    clean = read_model(model_path)
    if clean.facts.format != "safetensors":
        raise ModelError(
            "model.unsupported",
            f"{model_path} is a single file. Give the directory of a model in safetensors.",
        )
    model = load_model(model_path)
    directory.mkdir()
    for name, content in clean.documents.items():
        (directory / name).write_bytes(content)
    config = json.loads(clean.documents["config.json"])
    config["quantization_config"] = QUANTIZATION_CONFIG
    (directory / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    linear = {
        f"{name}.weight"
        for name, layer in model.named_modules()
        if type(layer) is nn.Linear and layer is not model.get_output_embeddings()
    }
    tensors: dict[str, Tensor] = {}
    for name, weight in model.named_parameters():  # tied weights come once
        if name in linear:
            tensors[name], tensors[f"{name}_scale"] = quantised(weight.detach())
        else:
            tensors[name] = weight.detach().contiguous()
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Int8 values [outputs, inputs] and scales [outputs, 1]: weight is about values * scale."""
    scale = weight.abs().amax(dim=1, keepdim=True) / LARGEST
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    values = (weight / scale).round().clamp(-LARGEST, LARGEST).to(torch.int8)
    return values.contiguous(), scale.to(torch.float32).contiguous()


if __name__ == "__main__":  # what `results.serve_commands` names
    write_int8_copy(Path(sys.argv[1]), Path(sys.argv[2]))
