"""The benchmark for machines with a GPU: a small part of it runs anywhere, the rest says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench import gpu_decoding
from bench.__main__ import main
from pipeline.modeling.tiny import tiny_llama

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_measured_and_that_is_said(capsys) -> None:
    assert main(["gpu_decoding"]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["status"].startswith("not run")
    assert line["figures"] == line["ratios"] == {}


@pytest.mark.slow
@pytest.mark.recipes
def test_a_tiny_target_is_measured_in_both_formats() -> None:
    options = [
        "--tiny",
        "--num-prompts",
        "4",
        "--new-tokens",
        "12",
        "--repeats",
        "2",
        "--draft-layers",
        "1",
    ]
    result = gpu_decoding.run(options)
    assert result.not_run == ""
    arms = ("first_layers", "ngram")
    assert set(result.ratios) == {
        f"{dtype}_{arm}_vs_autoregressive" for dtype in gpu_decoding.DTYPES for arm in arms
    }
    rows = {(row[0], row[1]): row for row in result.table.rows}
    assert len(rows) == len(result.table.rows) == 2 * 4
    for arm in arms:
        assert rows["float32", arm][5] == 4
        assert rows["float32", arm][-1] == "yes"
    assert [one for one in result.failures if "float32" in one] == []
    assert (rows["float32", "autoregressive"][4], rows["float32", "autoregressive"][6]) == (
        "-",
    ) * 2
    assert rows["float32", "first_layers"][4] > 0


def test_the_draft_shares_the_targets_first_layers() -> None:
    target = tiny_llama()
    options = gpu_decoding._parser().parse_args(["--tiny", "--draft-layers", "1"])
    draft = gpu_decoding._draft(options, target)
    ids = torch.tensor([[5, 6, 7]])
    target.model.layers = target.model.layers[:1]
    assert torch.equal(draft(ids).logits, target(ids).logits)
    assert not any(weight.is_meta for weight in (*draft.parameters(), *draft.buffers()))


@pytest.mark.slow
@pytest.mark.recipes
def test_it_needs_no_django() -> None:
    code = "import sys, bench.__main__, bench.gpu_decoding; print('django' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"
