"""The model that is broken, and what reading it must come to."""

import json
import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from bench.header_fuzz.mutations import mutated_gguf, mutated_json, mutated_safetensors
from pipeline.errors import ModelError
from pipeline.modeling.inspection import read_model
from pipeline.modeling.loading import load_model, load_tokenizer
from pipeline.modeling.safetensors_header import read_safetensors_header
from pipeline.modeling.tiny import CHATML_TEMPLATE, save_tiny_model, tiny_tokenizer
from pipeline.modeling.trial import try_out

JSON_FILES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "model.safetensors.index.json",
)  # fmt: skip
KINDS = (*JSON_FILES, "model.safetensors", "model.gguf")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case."""

    kind: str
    """The file that was broken."""
    word: str
    """`loaded`, a code of `ModelError`, or `crash`."""
    detail: str = ""


class Subject:
    """A tiny model in each form, in a directory of its own.

    Args:
        directory: An empty directory.
        loads: Whether what is accepted is also loaded, which imports torch.
    """

    def __init__(self, directory: Path, *, loads: bool) -> None:
        self._loads = loads
        self._whole = save_tiny_model(directory / "whole", num_layers=1)
        self._sharded = _sharded(self._whole, directory / "sharded")
        self._gguf = directory / "model.gguf"
        write_gguf(self._gguf)
        self._content = {name: (self._whole / name).read_bytes() for name in JSON_FILES[:4]}
        self._content["model.safetensors"] = (self._whole / "model.safetensors").read_bytes()
        self._content[JSON_FILES[4]] = (self._sharded / JSON_FILES[4]).read_bytes()
        self._content["model.gguf"] = self._gguf.read_bytes()

    def warm_up(self) -> None:
        """Everything is imported and was done once: what that takes is not the first case's."""
        for kind in KINDS:
            model, file = self._place(kind)
            outcome = self._read(kind, model, file)
            if outcome.word != "loaded":
                raise RuntimeError(f"the whole model is refused: {outcome}")

    def judge(self, seed: int, number: int) -> Outcome:
        """The outcome of case `number` of `seed`; the model is whole again afterwards."""
        rng = random.Random(f"{seed}:{number}")
        kind = KINDS[number % len(KINDS)]
        model, file = self._place(kind)
        file.write_bytes(_mutated(rng, kind, self._content))
        try:
            return self._read(kind, model, file)
        finally:
            file.write_bytes(self._content[kind])

    def _place(self, kind: str) -> tuple[Path, Path]:
        if kind == "model.gguf":
            return self._gguf, self._gguf
        directory = self._sharded if kind == JSON_FILES[4] else self._whole
        return directory, directory / kind

    def _read(self, kind: str, model: Path, file: Path) -> Outcome:
        try:
            clean = read_model(model)
            try_out(clean)
            if self._loads:
                load_model(model)
                if clean.facts.has_tokenizer:
                    load_tokenizer(model)
        except ModelError as exc:
            # A message that does not say which file helps nobody.
            named = file.name in str(exc) or str(model) in str(exc) or "template" in str(exc)
            return Outcome(kind, exc.code if named else "crash", str(exc))
        except BaseException as exc:
            if isinstance(exc, KeyboardInterrupt):
                raise
            return Outcome(kind, "crash", f"{type(exc).__name__}: {exc}")
        return Outcome(kind, "loaded")


def _mutated(rng: random.Random, kind: str, content: Mapping[str, bytes]) -> bytes:
    if kind == "model.safetensors":
        return mutated_safetensors(rng, content[kind])
    if kind == "model.gguf":
        return mutated_gguf(rng, content[kind], _gguf_header_bytes(content[kind]))
    return mutated_json(rng, content[kind])


def _gguf_header_bytes(content: bytes) -> int:
    return content.index(b"output_norm.weight") + 100


def _sharded(whole: Path, directory: Path) -> Path:
    """The same model in two files and an index."""
    directory.mkdir()
    for name in JSON_FILES[:4]:
        (directory / name).write_bytes((whole / name).read_bytes())
    content = (whole / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    names = sorted(read_safetensors_header(whole / "model.safetensors"))
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        shard, data, entries = f"model-{number:05d}-of-00002.safetensors", b"", {}
        for name in part:
            begin, end = header[name]["data_offsets"]
            piece = content[8 + length + begin : 8 + length + end]
            entries[name] = {**header[name], "data_offsets": [len(data), len(data) + len(piece)]}
            data += piece
            weight_map[name] = shard
        encoded = json.dumps(entries).encode()
        (directory / shard).write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
    (directory / JSON_FILES[4]).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return directory


def write_gguf(path: Path) -> None:
    """A tiny model with its tokenizer and chat template as llama.cpp writes one."""
    width, heads, inner = 32, 2, 64
    vocabulary = tiny_tokenizer().get_vocab()
    newline = "\u010a"  # as byte-level vocabularies spell it
    tokens = [*sorted(vocabulary, key=vocabulary.__getitem__), newline * 2]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges([f"{newline} {newline}"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHATML_TEMPLATE)
    shapes = {
        "token_embd.weight": (len(tokens), width),
        "blk.0.attn_norm.weight": (width,),
        "blk.0.ffn_norm.weight": (width,),
        **{f"blk.0.attn_{part}.weight": (width, width) for part in ("q", "k", "v", "output")},
        "blk.0.ffn_gate.weight": (inner, width),
        "blk.0.ffn_up.weight": (inner, width),
        "blk.0.ffn_down.weight": (width, inner),
        "output_norm.weight": (width,),
    }
    for name, shape in shapes.items():
        writer.add_tensor(name, np.full(shape, 0.01, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
