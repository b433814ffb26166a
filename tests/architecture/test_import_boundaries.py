"""What each part may import, checked on the import graph and on a real interpreter.

The import graph (import-linter, `pyproject.toml`) sees statements; the subprocess check sees what
really got loaded, third-party imports included.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def loaded_modules(statement: str) -> set[str]:
    """Top-level modules in `sys.modules` after `statement` ran in a fresh interpreter."""
    code = f"{statement}\nimport sys; print(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
        "DJANGO_SETTINGS_MODULE": "studio.settings",
    }
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        (
            "import pipeline.contracts.plans, pipeline.contracts.manifest",
            {"torch", "transformers", "numpy", "django", "celery", "redis", "pyarrow"},
        ),
        (
            # sacrebleu's file lock loads redis where it is installed; we do not import it.
            "import pipeline.metrics.text_overlap, pipeline.metrics.retention",
            {"torch", "transformers", "django", "celery"},
        ),
        (
            "import pipeline.data.records, pipeline.data.readers",
            {"torch", "transformers", "django", "celery", "redis"},
        ),
        (
            "import pipeline.recipes.import_dataset, pipeline.recipes.preview_dataset, "
            "pipeline.recipes.import_checkpoint",
            {"torch", "transformers", "tokenizers", "django", "celery", "redis"},
        ),
        (
            # datasketch loads redis where it is installed; we do not import it.
            "import pipeline.recipes.check_dataset, pipeline.recipes.mask_dataset",
            {"torch", "transformers", "tokenizers", "django", "celery"},
        ),
        ("import pipeline.__main__", {"torch", "transformers", "django", "celery", "redis"}),
        (
            "import django; django.setup(); import studio.urls, studio.wsgi",
            {"torch", "transformers", "lm_eval", "workers"},
        ),
        ("import workers.app, workers.tasks", {"torch", "transformers", "lm_eval"}),
    ],
)
def test_imports_stay_within_bounds(statement: str, forbidden: set[str]) -> None:
    assert loaded_modules(statement) & forbidden == set()


def test_importing_the_pipeline_starts_no_work() -> None:
    """No module configures logging or reads a device when it is imported."""
    statement = (
        "import logging, pipeline.__main__, pipeline.execution\n"
        "assert not logging.getLogger().handlers, 'import configured logging'"
    )
    loaded_modules(statement)


@pytest.mark.slow
def test_the_import_graph_keeps_its_contracts() -> None:
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")])},
        check=False,
    )
    assert result.returncode == 0, result.stdout
