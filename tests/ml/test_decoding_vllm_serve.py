"""The command that serves a target with an arm says what was measured, whatever its paths are."""

import json
import subprocess
from pathlib import Path

import pytest

from pipeline.contracts.decoding_results import ArmResults
from pipeline.contracts.decoding_spec import CombinedArm, DraftModelArm, Int8DraftArm, NGramArm
from pipeline.contracts.references import Reference
from pipeline.decoding.vllm_options import speculative_config
from pipeline.decoding.vllm_serve import serve_commands
from pipeline.modeling.tiny import save_tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[Path, Path]:
    """(target, draft) in directories that a shell must not read."""
    folder = tmp_path_factory.mktemp("models")
    return (
        save_tiny_model(folder / "it's $(touch oops) 目标"),
        save_tiny_model(folder / 'a "draft" of `it` & \\n', seed=1),
    )


def measured(length: int) -> ArmResults:
    return ArmResults(
        tokens_per_second=1.0, prefill_seconds=1.0, decode_seconds=1.0, num_output_tokens=1,
        repeated_4gram_rate=0.0, num_speculative_tokens=length,
    )  # fmt: skip


def commands(target: Path, *arms) -> dict[str, str]:
    lengths = {arm.name: measured(place + 2) for place, arm in enumerate(arms)}
    return serve_commands(target, arms, lengths, dtype="bfloat16")


def as_a_shell_reads(command: str, folder: Path) -> list[str]:
    done = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\0' {command}"], cwd=folder, capture_output=True, check=True
    )
    return done.stdout.decode().split("\0")[:-1]


def test_a_shell_reads_what_the_engine_is_asked_for(models, tmp_path) -> None:
    target, draft = models
    drafting = DraftModelArm(name="distilled", model=Reference(path=str(draft)))
    lookup = NGramArm(max_ngram=4, min_ngram=2)
    found = commands(target, drafting, lookup)
    assert list(found) == ["distilled", "ngram"]
    for length, arm in ((2, drafting), (3, lookup)):
        *words, config = as_a_shell_reads(found[arm.name], tmp_path)
        assert words == [
            "vllm", "serve", str(target), "--dtype", "bfloat16", "--speculative-config"
        ]  # fmt: skip
        assert json.loads(config) == speculative_config(target, arm, length)
    assert list(tmp_path.iterdir()) == []


def test_a_draft_in_8_bits_is_written_before_it_is_served(models, tmp_path) -> None:
    target, draft = models
    found = commands(target, Int8DraftArm(name="int8", model=Reference(path=str(draft))))
    made, served = found["int8"].split(" && ")
    module, source, copy = as_a_shell_reads(made, tmp_path)[2:]
    assert (module, source) == ("pipeline.modeling.int8_copy", str(draft))
    assert json.loads(as_a_shell_reads(served, tmp_path)[-1])["model"] == copy


def test_arms_that_vllm_cannot_draft_by_have_none(models, tmp_path) -> None:
    target, draft = models
    combined = CombinedArm(model=Reference(path=str(draft)))
    trapped = save_tiny_model(tmp_path / "eagle3")
    misread = DraftModelArm(name="misread", model=Reference(path=str(trapped)))
    single_file = tmp_path / "draft.gguf"
    single_file.touch()
    file = DraftModelArm(name="file", model=Reference(path=str(single_file)))
    assert commands(target, combined, misread, file) == {}
    assert commands(single_file, NGramArm()) == {}
