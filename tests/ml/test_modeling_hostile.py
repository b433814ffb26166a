"""What is inspected is what is loaded: of any folder, a loader sees the clean directory."""

import json
import os
import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from pipeline.contracts.events import RunWarning
from pipeline.contracts.specs import parse_run_spec
from pipeline.errors import ModelError
from pipeline.execution import RunContext
from pipeline.modeling.clean_directory import clean_directory
from pipeline.modeling.inspection import read_model
from pipeline.modeling.loader_errors import is_panic
from pipeline.modeling.loading import load_model, load_tokenizer
from pipeline.modeling.model_config import ARCHITECTURES
from pipeline.modeling.tiny import save_tiny_model
from pipeline.modeling.trial import try_out
from pipeline.provenance import path_digest
from pipeline.recipes import import_checkpoint

CLEAN_NAMES = {
    "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
    "tokenizer_config.json", "chat_template.jinja",
}  # fmt: skip
TAR = bytes(257) + b"ustar" + bytes(250)
# Could run code in some program: a person should know that the folder holds it.
REFUSED = {
    "modeling_evil.py": b"import os\n",
    "libevil.so": b"anything",
    "libevil.so.1.2": b"anything",
    "weights.dat": b"\x7fELF\x02\x01\x01",
    "setup.txt": b"#!/bin/sh\n",
    "windows.dat": b"MZ\x90\x00",
    "mac.dat": b"\xcf\xfa\xed\xfe",
    "module.wasm": b"\0asm",
    "tf_model.h5": b"anything",
    "model.keras": b"anything",
    "weights.blob": b"\x89HDF\r\n\x1a\n",
    "more.zip": b"PK\x05\x06",
    "more.dat": b"PK\x03\x04rest",
    "logs.tar": TAR,
    "logs.old": TAR,
    "vocab.txt.gz": b"\x1f\x8b\x08",
    "extra.7z": b"7z\xbc\xaf\x27\x1c",
    "pytorch_model.bin": b"anything",
    "innocent.txt": pickle.dumps({}),
    "custom_generate/readme.txt": b"nothing",
    "__pycache__/x.dat": b"nothing",
}
# Harmless, and no part of what is loaded.
LEFT_BEHIND = {
    "README.md": b"# A model\n",
    ".gitattributes": b"*.bin filter=lfs",
    "vocab.json": b'{"trust_remote_code": 7}',
    "merges.txt": b"#version: 0.2\n",
    "added_tokens.json": b"not even JSON",
    "preprocessor_config.json": b'{"auto_map": {"AutoProcessor": "evil.Processor"}}',
    "adapter_config.json": b'{"peft_type": "LORA"}',
    "adapter_model.safetensors": b"",
    "onnx/model.onnx": b"\x08\x07",
    "second.safetensors": b"",
    "model.safetensors.index.json.old": b"{}",
    "additional_chat_templates/tool_use.jinja": b"{{ 1 / 0 }}",
    "tekken.json": b"{}",
    "consolidated.safetensors": b"",
}
# Settings that no supported architecture has, each with something a library does with it.
UNKNOWN_SETTINGS = {
    "config.json": {
        "_name_or_path": "/etc", "tokenizer_class": "EvilTokenizer", "adapter_path": "../x",
        "_attn_implementation": "kernels-community/evil", "torchscript": True,
        "pruned_heads": {"0": [0]}, "use_kernels": True,
    },
    "tokenizer_config.json": {
        "tokenizer_file": "/etc/passwd", "vocab_file": "../vocab", "name_or_path": "owner/name",
        "processor_class": "Evil", "gguf_file": "/etc/passwd", "tokenizer_class": "EvilTokenizer",
    },
    "generation_config.json": {
        "cache_implementation": "offloaded", "watermarking_config": {}, "compile_config": {},
        "assistant_model": "../x",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("pristine") / "model", num_layers=1)


@pytest.fixture
def model(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "model"))


def imported(path: Path, context: RunContext) -> Path:
    document = {"kind": "import_checkpoint", "source": {"path": str(path)}}
    spec: Any = parse_run_spec(json.dumps(document))
    return import_checkpoint.run(spec, context).outputs["model"]


def names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*")}


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def add(model: Path, name: str, content: bytes) -> None:
    (model / name).parent.mkdir(parents=True, exist_ok=True)
    (model / name).write_bytes(content)


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_run_code_somewhere_is_refused(
    name: str, model: Path, context: RunContext
) -> None:
    add(model, name, REFUSED[name])
    with pytest.raises(ModelError) as caught:
        imported(model, context)
    assert caught.value.code == "model.unsafe_file"
    assert name.split("/")[0] in str(caught.value)
    assert names(context.run_dir) == set()
    for loader in (load_model, load_tokenizer):
        with pytest.raises(ModelError):
            loader(model)


def test_everything_else_stays_behind(model: Path, context: RunContext) -> None:
    for name, content in LEFT_BEHIND.items():
        add(model, name, content)
    copy = imported(model, context)
    assert names(copy) == CLEAN_NAMES
    (warning,) = [p for p in context.events.payloads if isinstance(p, RunWarning)]
    assert warning.code == "model.files_left_behind"
    assert all(name in warning.message for name in LEFT_BEHIND)


@pytest.mark.parametrize("name", UNKNOWN_SETTINGS)
def test_settings_nobody_knows_stay_behind(name: str, model: Path, context: RunContext) -> None:
    whole = json.loads((model / name).read_text())
    edit(model / name, **UNKNOWN_SETTINGS[name])
    kept = json.loads((imported(model, context) / name).read_text())
    if name == "tokenizer_config.json":
        assert kept.pop("tokenizer_class") == whole.pop("tokenizer_class") == "TokenizersBackend"
    assert kept == whole


def test_weights_of_another_directory_are_not_loaded(model: Path, tmp_path: Path) -> None:
    """The hole: `transformers_weights` names an index that the gate did not look at."""
    outside = save_tiny_model(tmp_path / "outside", num_layers=1, seed=7)
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "../outside/model.safetensors"}}
    (model / "other.safetensors.index.json").write_text(json.dumps(index))
    for value in ("other.safetensors.index.json", "../outside/model.safetensors", str(outside)):
        edit(model / "config.json", transformers_weights=value)
        for loader in (load_model, load_tokenizer, path_digest):
            with pytest.raises(ModelError) as caught:
                loader(model)
            assert caught.value.code == "model.unsafe_file"
            assert "transformers_weights" in str(caught.value)


def test_hard_links_become_files_of_their_own(model: Path, context: RunContext) -> None:
    """Whoever holds the other name of a file could change what was inspected."""
    for name in sorted(CLEAN_NAMES):
        os.link(model / name, model.parent / f"{name}.other")
    copy = imported(model, context)
    for name in CLEAN_NAMES:
        assert (copy / name).stat().st_nlink == 1
        assert not (copy / name).samefile(model / name)


def test_a_loader_by_path_sees_the_clean_directory_too(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    from_pretrained = transformers.LlamaForCausalLM.from_pretrained

    def watched(**arguments: Any) -> Any:
        seen.append(names(Path(arguments["pretrained_model_name_or_path"])))
        return from_pretrained(**arguments)

    monkeypatch.setattr(transformers.LlamaForCausalLM, "from_pretrained", watched)
    expected = load_model(model).state_dict()
    for name, content in LEFT_BEHIND.items():
        add(model, name, content)
    edit(model / "config.json", **UNKNOWN_SETTINGS["config.json"])
    actual = load_model(model).state_dict()
    assert seen == [CLEAN_NAMES, CLEAN_NAMES]
    assert all(torch.equal(actual[name], expected[name]) for name in expected)
    assert load_tokenizer(model).get_vocab() == load_tokenizer(model).get_vocab()


def test_the_digest_is_that_of_what_is_loaded(model: Path, context: RunContext) -> None:
    own = path_digest(model)
    add(model, "README.md", b"other words")
    assert path_digest(model) == own
    edit(model / "config.json", _name_or_path="/somewhere")
    foreign = path_digest(model)
    copy = imported(model, context)
    assert path_digest(copy) == foreign
    assert read_model(copy).is_clean
    assert not read_model(model).is_clean


def shard(model: Path, shard_names: tuple[str, str], metadata: object) -> None:
    """The model's tensors in two files, under names somebody else chose."""
    content = (model / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    header.pop("__metadata__", None)
    weight_map = {}
    for number, shard_name in enumerate(shard_names):
        entries, part = {}, b""
        for name in list(header)[number::2]:
            begin, end = header[name]["data_offsets"]
            piece = data[begin:end]
            entries[name] = header[name] | {"data_offsets": [len(part), len(part) + len(piece)]}
            part += piece
            weight_map[name] = shard_name
        encoded = json.dumps(entries).encode()
        (model / shard_name).write_bytes(struct.pack("<Q", len(encoded)) + encoded + part)
    (model / "model.safetensors").unlink()
    index = {"metadata": metadata, "weight_map": weight_map}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards_get_the_names_we_choose(model: Path, context: RunContext) -> None:
    expected = load_model(model).state_dict()
    shard(model, ("b weights.safetensors", "a.safetensors"), {"total_size": 3, "evil": "x"})
    copy = imported(model, context)
    ours = {f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    assert names(copy) == (CLEAN_NAMES - {"model.safetensors"}) | ours | {
        "model.safetensors.index.json"
    }
    index = json.loads((copy / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 3}
    assert set(index["weight_map"].values()) == ours
    assert read_model(copy).is_clean
    for path in (model, copy):
        actual = load_model(path).state_dict()
        assert all(torch.equal(actual[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("settings", "template"),
    [
        ({"chat_template": "inline {{ messages }}"}, "inline {{ messages }}"),
        (
            {"chat_template": [{"name": "tool_use", "template": "no"},
                               {"name": "default", "template": "yes"}]},
            "yes",
        ),
    ],
)  # fmt: skip
def test_a_template_among_the_settings_becomes_a_file(
    settings: dict[str, object], template: str, model: Path, context: RunContext
) -> None:
    (model / "chat_template.jinja").unlink()
    edit(model / "tokenizer_config.json", **settings)
    copy = imported(model, context)
    assert (copy / "chat_template.jinja").read_text() == template
    assert "chat_template" not in json.loads((copy / "tokenizer_config.json").read_text())
    assert load_tokenizer(copy).chat_template == load_tokenizer(model).chat_template == template


def test_special_tokens_of_older_libraries_are_kept(model: Path, context: RunContext) -> None:
    settings = json.loads((model / "tokenizer_config.json").read_text())
    tokens = {key: settings.pop(key) for key in ("bos_token", "eos_token", "pad_token")}
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    (model / "special_tokens_map.json").write_text(json.dumps(tokens))
    tokenizer = load_tokenizer(imported(model, context))
    assert {key: getattr(tokenizer, key) for key in tokens} == tokens


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_what_the_library_saves_of_each_architecture_travels_whole(
    model_type: str, tmp_path: Path
) -> None:
    """The allow-list knows every setting of the installed version, or figures would change."""
    model_class = getattr(transformers, ARCHITECTURES[model_type])
    config = model_class.config_class(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, max_position_embeddings=64,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    directory = tmp_path / "model"
    model_class(config).save_pretrained(directory)
    clean = read_model(directory)
    assert clean.left_behind == ()
    with clean_directory(clean) as seen:
        assert seen == directory
    loaded = load_model(directory)
    again = tmp_path / "again"
    loaded.save_pretrained(again)
    assert path_digest(again) == path_digest(directory)


def use(model: Path) -> None:
    """Everything an import and a run do with a model."""
    try_out(read_model(model))
    load_model(model)
    load_tokenizer(model)


MALFORMED: dict[str, tuple[str, object, str]] = {
    "heads 0": ("config.json", {"num_attention_heads": 0}, "num_attention_heads"),
    "key-value heads 0": ("config.json", {"num_key_value_heads": 0}, "num_key_value_heads"),
    "key-value heads 3": ("config.json", {"num_key_value_heads": 3}, "num_key_value_heads"),
    "rope type": ("config.json", {"rope_parameters": {"rope_type": "evil"}}, "rope_type"),
    "rope list": ("config.json", {"rope_scaling": ["linear"]}, "rope_scaling"),
    "activation": ("config.json", {"hidden_act": "evil"}, "hidden_act"),
    "activation list": ("config.json", {"hidden_act": ["silu"]}, "hidden_act"),
    "dtype list": ("config.json", {"dtype": ["float32"]}, "dtype"),
    "padding": ("config.json", {"pad_token_id": 10**6}, "pad_token_id"),
    "width": ("config.json", {"intermediate_size": 2**31 - 1}, "mlp"),
    "head width": ("config.json", {"head_dim": 2**20}, "q_proj"),
    "no tokenizer": ("tokenizer.json", None, "model.vocab"),
    "tokenizer of another kind": ("tokenizer.json", {"model": {"vocab": {"a": 0}, "type": "X"}},
                                  "model.type"),
    "panic": ("tokenizer.json", {"normalizer": {"type": "Precompiled",
                                                "precompiled_charsmap": "AAAA"}}, "tokenizer"),
    "panic when used": ("tokenizer.json", {"post_processor": {
        "type": "TemplateProcessing", "single": [{"Sequence": {"id": "B", "type_id": 0}}],
        "pair": [], "special_tokens": {}}}, "tokenizer"),
    "token": ("tokenizer_config.json", {"eos_token": 3}, "eos_token"),
    "added token": ("tokenizer_config.json", {"added_tokens_decoder": {"x": 3}},
                    "added_tokens_decoder"),
    "template": ("tokenizer_config.json", {"chat_template": 3}, "chat_template"),
    "generation": ("generation_config.json", {"max_length": "long"}, "max_length"),
}  # fmt: skip


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_files_are_errors_that_name_file_and_key(what: str, model: Path) -> None:
    name, changes, key = MALFORMED[what]
    (model / "chat_template.jinja").unlink()
    if isinstance(changes, dict):
        edit(model / name, **changes)
    else:
        (model / name).write_text("{}")
    with pytest.raises(ModelError) as caught:
        use(model)
    assert name.split(".")[0] in str(caught.value)
    assert key in str(caught.value)


def test_a_panic_of_the_library_is_an_error_where_a_model_is_loaded(model: Path) -> None:
    """Of a folder that is its own clean directory nothing is tried out before it is loaded."""
    _, changes, _ = MALFORMED["panic"]
    assert isinstance(changes, dict)
    edit(model / "tokenizer.json", **changes)
    assert read_model(model).is_clean
    with pytest.raises(ModelError, match="PanicException") as caught:
        load_tokenizer(model)
    panic = caught.value.__cause__
    assert panic is not None
    assert is_panic(panic)
    assert not isinstance(panic, Exception)


@pytest.mark.parametrize(
    "weight_map", [[], ["x"], {}, None, 3, {"a": ["x"]}, {"a": {}}, {"a": None}]
)
def test_a_weight_map_that_is_no_map_is_an_error(model: Path, weight_map: object) -> None:
    (model / "model.safetensors").rename(model / "model-1.safetensors")
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ModelError) as caught:
        read_model(model)
    assert caught.value.code == "model.corrupt_file"
    assert "model.safetensors.index.json" in str(caught.value)


@pytest.mark.parametrize("dtype", [["F32"], {}, None, 3, True])
def test_a_dtype_that_is_no_word_is_an_error(model: Path, dtype: object) -> None:
    header = json.dumps(
        {"model.norm.weight": {"dtype": dtype, "shape": [1], "data_offsets": [0, 4]}}
    ).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(4)
    (model / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_model(model)
    assert caught.value.code == "model.corrupt_file"
    assert "dtype" in str(caught.value)


def test_an_honest_header_may_have_the_length_of_a_pickle(model: Path) -> None:
    """Its first two bytes are those of a pickle when it is 640 bytes long, or 896, 1152, 1408."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    for length in (0x0280, 0x0380, 0x0480, 0x0580):
        content = struct.pack("<Q", length) + header.ljust(length) + b"0"
        (model / "extra.safetensors").write_bytes(content)
        read_model(model)


ODD_VALUES = (None, True, -1, 0, 1e308, "evil", [["evil"]], {"evil": {}})


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "generation_config.json", "tokenizer.json"]
)
@pytest.mark.slow
def test_every_key_with_every_kind_of_value_is_a_model_or_an_error(name: str, model: Path) -> None:
    whole = json.loads((model / name).read_text())
    found = {"loaded": 0, "refused": 0}
    messages: list[str] = []
    for key in whole:
        for value in ODD_VALUES:
            (model / name).write_text(json.dumps(whole | {key: value}))
            try:
                use(model)
                found["loaded"] += 1
            except ModelError as exc:
                found["refused"] += 1
                messages.append(str(exc))
    assert all(name in message or str(model) in message for message in messages)
    assert found["loaded"] > 5
    assert found["refused"] > 5


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "\\ud800"}',
        b"\xef\xbb\xbf{}", '{"a": 1}'.encode("utf-16"), b"[" * 10**6,
        b"[" + b"[]," * 800_001 + b"[]]", b"[]", b"3",
    ],
    ids=range(10),
)  # fmt: skip
def test_json_that_parsers_read_differently_or_not_at_all_is_refused(
    text: bytes, model: Path
) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        whole = (model / name).read_bytes()
        (model / name).write_bytes(text)
        with pytest.raises(ModelError) as caught:
            read_model(model)
        assert name in str(caught.value)
        (model / name).write_bytes(whole)
