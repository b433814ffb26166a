"""Hostile and damaged model directories are refused before any loader opens them."""

import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import gguf
import numpy as np
import pytest

from pipeline.contracts.reports import Output
from pipeline.errors import ModelError
from pipeline.modeling.gguf_header import MAX_ARRAY_ITEMS, TENSOR_TYPES, read_gguf_header
from pipeline.modeling.inspection import inspect_model_directory
from pipeline.modeling.loading import load_model, load_tokenizer
from pipeline.modeling.safetensors_header import read_safetensors_header
from pipeline.modeling.tiny import save_tiny_model


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("pristine") / "model")


@pytest.fixture
def model(pristine, tmp_path):
    return Path(shutil.copytree(pristine, tmp_path / "model"))


def refusal(path):
    with pytest.raises(ModelError) as info:
        inspect_model_directory(path)
    # The loaders go through the same door.
    for loader in (load_model, load_tokenizer):
        with pytest.raises(ModelError) as again:
            loader(path)
        assert again.value.code == info.value.code
    return info.value


def edit_json(path, **changes):
    document = json.loads(path.read_text())
    document.update(changes)
    path.write_text(json.dumps(document))


def safetensors_bytes(header, data=b""):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


class Canary:
    """Unpickling this touches a file: proof that a loader ran code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_facts_go_into_a_report_as_they_are(model):
    facts = inspect_model_directory(model).describe()
    output = Output(path="model", digest="0" * 64, facts=facts)
    assert Output.parse(output.model_dump_json()) == output


def test_facts_of_a_good_directory(model):
    facts = inspect_model_directory(model)
    assert (facts.model_type, facts.architecture) == ("llama", "LlamaForCausalLM")
    assert (facts.vocab_size, facts.hidden_size, facts.num_layers) == (259, 64, 2)
    assert facts.num_parameters == sum(p.numel() for p in load_model(model).parameters())
    assert facts.has_tied_embeddings
    assert facts.has_tokenizer
    assert facts.has_chat_template
    assert (facts.dtype, facts.max_position_embeddings) == ("F32", 512)
    assert facts.size_bytes == sum(file.stat().st_size for file in model.iterdir())


def test_inspection_imports_neither_torch_nor_transformers():
    code = (
        "import sys, pipeline.modeling.inspection;"
        "sys.exit(bool({'torch', 'transformers', 'tokenizers'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_missing_model(tmp_path):
    assert refusal(tmp_path / "absent").code == "model.not_found"
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty").code == "model.not_found"


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("pytorch_model.bin", 0),
        ("training_args.bin", 2),
        ("rng_state.pth", 4),
        ("model-extra.safetensors", 5),
        ("notes.txt", 2),
    ],
)
def test_pickles_are_refused_under_any_name_and_never_run(model, tmp_path, name, protocol):
    canary = tmp_path / "canary"
    (model / name).write_bytes(pickle.dumps(Canary(canary), protocol=protocol))
    error = refusal(model)
    assert error.code == "model.unsafe_file"
    assert name in str(error)
    assert "safe_serialization" in str(error)
    assert not canary.exists()
    # The canary does sing when it is opened, or this test would prove nothing.
    pickle.loads((model / name).read_bytes())  # noqa: S301
    assert canary.exists()


def test_archive_of_pickles_is_refused_under_an_innocent_name(model):
    with zipfile.ZipFile(model / "weights.dat", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    assert refusal(model).code == "model.unsafe_file"


def test_object_array_is_refused_under_an_innocent_name(model):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    (model / "stats.dat").write_bytes(buffer.getvalue())
    assert refusal(model).code == "model.unsafe_file"


@pytest.mark.parametrize("name", ["modeling_evil.py", "sub/kernel.so", "Demo.IPYNB"])
def test_code_files_are_refused(model, name):
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_text("raise SystemExit")
    error = refusal(model)
    assert error.code == "model.unsafe_file"
    assert name in str(error)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}),
        ("config.json", {"text_config": {"trust_remote_code": True}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}),
        ("tokenizer.json", {"trust_remote_code": 1}),
        ("generation_config.json", {"custom_generate": "owner/name"}),
    ],
)
def test_settings_that_import_code_are_refused(model, name, changes):
    edit_json(model / name, **changes)
    error = refusal(model)
    assert error.code == "model.unsafe_file"
    assert name in str(error)


def test_tokens_may_spell_the_names_of_settings(model):
    document = json.loads((model / "tokenizer.json").read_text())
    document["model"]["vocab"]["auto_map"] = 259
    (model / "tokenizer.json").write_text(json.dumps(document))
    edit_json(model / "tokenizer_config.json", trust_remote_code=False)
    inspect_model_directory(model)


def test_links_may_point_only_to_files_inside(model, tmp_path):
    (model / "alias.json").symlink_to("config.json")
    inspect_model_directory(model)
    outside = tmp_path / "secret.json"
    outside.write_text("{}")
    (model / "outside.json").symlink_to(outside)
    error = refusal(model)
    assert error.code == "model.unsafe_file"
    assert "cp -rL" in str(error)


@pytest.mark.parametrize("target", ["nowhere.json", "loop.json", "."])
def test_dangling_looping_and_directory_links_are_refused(model, target):
    (model / "loop.json").symlink_to(target)
    assert refusal(model).code == "model.unsafe_file"


def test_pipes_are_refused_without_being_opened(model):
    os.mkfifo(model / "pipe.json")
    assert refusal(model).code == "model.unsafe_file"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model_type": "deepseek_custom"}, "model.unsupported"),
        ({"model_type": ["llama"]}, "model.unsupported"),
        ({"architectures": ["EvilForCausalLM"]}, "model.unsupported"),
        ({"quantization_config": {"quant_method": "evil"}}, "model.unsupported"),
        ({"vocab_size": -1}, "model.unsupported"),
        ({"vocab_size": True}, "model.unsupported"),
        ({"vocab_size": 300}, "model.corrupt_file"),
        ({"num_hidden_layers": 10**9}, "model.corrupt_file"),
        ({"num_hidden_layers": 3}, "model.corrupt_file"),
    ],
)
def test_configurations_we_do_not_load(model, changes, code):
    edit_json(model / "config.json", **changes)
    error = refusal(model)
    assert error.code == code
    assert "config.json" in str(error)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\xff"])
def test_broken_json_is_an_error_with_the_file_name(model, text):
    (model / "config.json").write_bytes(text.encode("latin-1"))
    error = refusal(model)
    assert error.code == "model.corrupt_file"
    assert "config.json" in str(error)


def test_deeply_nested_json_is_refused(model):
    (model / "tokenizer_config.json").write_text('{"a":' * 200 + "1" + "}" * 200)
    assert refusal(model).code == "model.unsafe_file"


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    {
        "empty": b"",
        "header of length 0": struct.pack("<Q", 0) + b"{}",
        "header of length 2**63": struct.pack("<Q", 2**63) + b"{}",
        "header past the end": struct.pack("<Q", 100) + b"{}",
        "not JSON": safetensors_bytes(b"{]"),
        "not an object": safetensors_bytes(b"[]"),
        "nested 100000 deep": safetensors_bytes(b'{"a":' * 100_000),
        "a name twice": safetensors_bytes(
            b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
            b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
            b"0",
        ),
        "overlap": safetensors_bytes({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, b"0" * 12),
        "hole": safetensors_bytes({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, b"0" * 12),
        "past the end": safetensors_bytes({"a": entry(0, 400, [100])}, b"0" * 12),
        "bytes behind": safetensors_bytes({"a": entry(0, 4, [1])}, b"0" * 12),
        "unknown dtype": safetensors_bytes({"a": entry(0, 4, [1], "PICKLE")}, b"0000"),
        "negative shape": safetensors_bytes({"a": entry(0, 4, [-1, -1])}, b"0000"),
        "overflowing shape": safetensors_bytes({"a": entry(0, 4, [2**63, 2**63])}, b"0000"),
        "shape does not fit": safetensors_bytes({"a": entry(0, 4, [2])}, b"0000"),
        "entry is no object": safetensors_bytes({"a": 3}),
        "30000 tensors": safetensors_bytes({str(i): entry(0, 0, [0]) for i in range(30_000)}),
    }.items(),
    ids=lambda item: item[0],
)
def test_damaged_safetensors_are_refused(model, content):
    (model / "model.safetensors").write_bytes(content[1])
    error = refusal(model)
    assert error.code == "model.corrupt_file"
    assert "model.safetensors" in str(error)


def test_truncated_weights_are_refused(model):
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert refusal(model).code == "model.corrupt_file"


def shard(model, name):
    """Turns the model into one shard called `name` plus an index; returns the index's path."""
    tensors = read_safetensors_header(model / "model.safetensors")
    (model / "model.safetensors").rename(model / name)
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(tensors, name)}))
    return index


def test_sharded_model_is_read(model):
    shard(model, "model-00001-of-00001.safetensors")
    assert inspect_model_directory(model).num_parameters > 0
    load_model(model)


@pytest.mark.parametrize("place", ["../other.safetensors", "/etc/passwd", "absent.safetensors"])
def test_index_that_leaves_the_directory_is_refused(model, place):
    index = shard(model, "model-00001-of-00001.safetensors")
    shutil.copy(model / "model-00001-of-00001.safetensors", model.parent / "other.safetensors")
    weight_map = json.loads(index.read_text())["weight_map"]
    weight_map["model.norm.weight"] = place
    index.write_text(json.dumps({"weight_map": weight_map}))
    error = refusal(model)
    assert error.code == "model.corrupt_file"
    assert place in str(error)


def test_tensor_in_two_shards_or_in_none_of_the_index_is_refused(model):
    index = shard(model, "model-00001-of-00001.safetensors")
    shutil.copy(model / "model-00001-of-00001.safetensors", model / "second.safetensors")
    weight_map = json.loads(index.read_text())["weight_map"]
    weight_map["model.norm.weight"] = "second.safetensors"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert refusal(model).code == "model.corrupt_file"


def test_weights_of_other_layers_are_not_filled_with_random_numbers(model):
    """The library warns about missing weights and goes on; a wrong score would be the only sign."""
    tensors = read_safetensors_header(model / "model.safetensors")
    raw = (model / "model.safetensors").read_bytes()
    renamed = raw.replace(b"layers.1.mlp.up_proj.weight", b"layers.1.mlp.xx_proj.weight")
    assert len(renamed) == len(raw)
    assert len(tensors) > 10
    (model / "model.safetensors").write_bytes(renamed)
    inspect_model_directory(model)
    with pytest.raises(ModelError, match=r"up_proj") as info:
        load_model(model)
    assert info.value.code == "model.corrupt_file"


def gguf_bytes(*, version=3, num_tensors=0, num_keys=0, body=b""):
    return b"GGUF" + struct.pack("<IQQ", version, num_tensors, num_keys) + body


def gguf_key(name, kind, value):
    return struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value


def gguf_tensor(name, dims, kind, offset):
    return (
        struct.pack("<Q", len(name))
        + name
        + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
    )


ARCHITECTURE = gguf_key(b"general.architecture", 8, struct.pack("<Q", 5) + b"llama")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "model.corrupt_file"),
        (b"GGML" + bytes(40), "model.corrupt_file"),
        (gguf_bytes(version=0), "model.unsupported"),
        (gguf_bytes(version=99), "model.unsupported"),
        (gguf_bytes(num_tensors=2**32 - 1), "model.corrupt_file"),
        (gguf_bytes(num_keys=2**63), "model.corrupt_file"),
        (gguf_bytes(num_keys=1, body=struct.pack("<Q", 2**63)), "model.corrupt_file"),
        (gguf_bytes(num_keys=1, body=gguf_key(b"k", 77, b"")), "model.corrupt_file"),
        (gguf_bytes(num_keys=2, body=ARCHITECTURE * 2), "model.corrupt_file"),
        (
            gguf_bytes(num_keys=1, body=gguf_key(b"k", 9, struct.pack("<IQ", 9, 1))),
            "model.corrupt_file",
        ),
        (
            gguf_bytes(num_keys=1, body=gguf_key(b"k", 9, struct.pack("<IQ", 0, 2**40))),
            "model.corrupt_file",
        ),
        *(
            (
                gguf_bytes(
                    num_keys=1, body=gguf_key(b"general.alignment", 4, struct.pack("<I", alignment))
                ),
                "model.corrupt_file",
            )
            for alignment in (0, 33, 2**31)
        ),
        *(
            (gguf_bytes(num_tensors=1, body=gguf_tensor(b"t", dims, kind, offset)), code)
            for dims, kind, offset, code in (
                ([0], 0, 0, "model.corrupt_file"),
                ([2**40, 2**40], 0, 0, "model.corrupt_file"),
                ([1] * 9, 0, 0, "model.corrupt_file"),
                ([4], 0, 2**40, "model.corrupt_file"),
                ([4], 0, 1, "model.corrupt_file"),
                ([33], 2, 0, "model.corrupt_file"),
                ([4], 99, 0, "model.unsupported"),
            )
        ),
        (
            gguf_bytes(
                num_keys=1,
                body=gguf_key(b"general.architecture", 8, struct.pack("<Q", 4) + b"evil"),
            ),
            "model.unsupported",
        ),
        (gguf_bytes(num_keys=1, body=ARCHITECTURE), "model.corrupt_file"),
    ],
)
def test_hostile_gguf_headers_are_refused(tmp_path, content, code):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == code
    assert "model.gguf" in str(error)


def test_counts_are_capped_even_when_the_file_holds_that_much(tmp_path):
    path = tmp_path / "model.gguf"
    array = struct.pack("<IQ", 0, MAX_ARRAY_ITEMS + 1) + bytes(MAX_ARRAY_ITEMS + 1)
    path.write_bytes(gguf_bytes(num_keys=1, body=gguf_key(b"k", 9, array)))
    with pytest.raises(ModelError, match="length of an array is 2000001"):
        inspect_model_directory(path)


def test_our_table_of_ggml_types_is_the_librarys():
    for number, (name, block, block_bytes) in TENSOR_TYPES.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name, gguf.GGML_QUANT_SIZES[kind]) == (name, (block, block_bytes))


def test_other_single_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"")
    assert refusal(path).code == "model.unsupported"


def test_gguf_header_of_a_written_file(tmp_path):
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(7)
    writer.add_array("names", ["a", "bc"])
    writer.add_tensor("first", np.zeros((3, 5), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_gguf_header(path)
    assert header.metadata == {"general.architecture": "llama", "llama.block_count": 7}
    assert header.array_lengths == {"names": 2}
    assert header.tensors["first"].shape == (3, 5)
