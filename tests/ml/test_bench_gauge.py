"""`python -m bench gauge` with models of a few thousand weights instead of the real base."""

import pytest
import torch

from bench import gauge
from pipeline.modeling.tiny import save_tiny_model

pytestmark = pytest.mark.slow


def test_rounding_keeps_each_group_of_weights_to_half_a_step() -> None:
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    errors = []
    for bits in (8, 4):
        found = gauge.rounded(weight, bits)
        groups = weight.reshape(-1, 32)
        step = groups.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert ((found.reshape(-1, 32) - groups).abs() <= step / 2 + 1e-7).all()
        assert len(found.reshape(-1, 32)[0].unique()) <= 2**bits - 1
        errors.append(float((found - weight).abs().mean()))
    assert errors[0] < errors[1] / 8
    assert torch.equal(gauge.rounded(torch.zeros(1, 32), 4), torch.zeros(1, 32))


def test_planted_models_are_judged_and_scored_once(tmp_path, capsys) -> None:
    """Another model under the name of the one that must FAIL, and the base under that of one that
    is only shown; the second call reads the scores of the first."""
    base = save_tiny_model(tmp_path / "base")
    other = save_tiny_model(tmp_path / "other", seed=1)
    arguments = ["--base", str(base), "--work", str(tmp_path / "work")]
    arguments += ["--trained", f"{gauge.FORGETTING}={other}", "--trained", f"a copy={base}"]
    result = gauge.run(arguments)
    verdicts = {row[0]: row[6] for row in result.table.rows}
    assert list(verdicts) == [
        "the base itself", "rounded to bf16", "rounded to 8 bits", "rounded to 6 bits",
        "rounded to 5 bits", "rounded to 4 bits", gauge.FORGETTING, "a copy",
    ]  # fmt: skip
    assert verdicts["the base itself"] == verdicts["a copy"] == "PASS"
    assert verdicts["rounded to bf16"] == "PASS"
    assert not [failure for failure in result.failures if failure.startswith("rounded to bf16")]
    assert " s\n" in capsys.readouterr().err
    again = gauge.run(arguments)
    assert again.table.rows == result.table.rows
    assert " s\n" not in capsys.readouterr().err
