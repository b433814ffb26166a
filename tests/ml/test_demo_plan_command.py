"""The demonstration's plan as a document: what the platform asks for while a person waits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.contracts.specs import PlanSpec, parse_spec
from pipeline.demo.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_plan_is_printed_and_starts_from_the_given_model(capfdbinary, tmp_path, lang) -> None:
    assert main(["plan", "--base", str(tmp_path), "--lang", lang]) == 0
    plan = parse_spec(capfdbinary.readouterr().out)
    assert isinstance(plan, PlanSpec)
    steps = {step.id: step.spec for step in plan.steps}
    assert steps["cpt"].model.path == str(tmp_path)
    assert all(f".{lang}.jsonl" in source.dataset.path for source in steps["cpt"].sources)


def test_missing_model_is_said_on_stderr(capfd, tmp_path) -> None:
    assert main(["plan", "--base", str(tmp_path / "gone")]) != 0
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "error[model.not_found]" in printed.err


def test_plan_needs_no_model_code(tmp_path) -> None:
    code = (
        "import sys, pipeline.demo.__main__ as demo; "
        f"status = demo.main(['plan', '--base', {str(tmp_path)!r}]); "
        "heavy = {'torch', 'transformers', 'plotly', 'numpy'} & sys.modules.keys(); "
        "sys.exit(status or len(heavy))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert child.returncode == 0, child.stderr.decode()
    assert json.loads(child.stdout)["kind"] == "plan"
