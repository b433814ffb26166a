"""CONTRIBUTING.md is true: a toy of each extension touches only the files it names, and works.

One temporary copy of the repository gets a toy metric, kind of run, drafting method and page. In it
the import contracts hold (`make test`), mypy passes on the touched files, and so do the toys' own
tests (`extensions/try_toys.py`) and those that CONTRIBUTING.md names (`make test-extensions`).
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOYS = Path(__file__).parent / "extensions"
SOURCE_FOLDERS = ("pipeline/", "workers/", "platform/")


@dataclass(frozen=True, kw_only=True)
class Extension:
    """Edits of one toy: (file, what stands there, what is put before it), and whole files.

    A line put before another; where the new text ends with `...`, it takes the old text's place.
    """

    section: str
    max_sources: int
    edits: tuple[tuple[str, str, str], ...] = ()
    files: dict[str, str] = field(default_factory=dict)

    @property
    def touched(self) -> list[str]:
        return sorted({path for path, _anchor, _lines in self.edits} | self.files.keys())

    @property
    def sources(self) -> list[str]:
        return [path for path in self.touched if path.startswith(SOURCE_FOLDERS)]


METRIC = Extension(
    section="Add a metric",
    max_sources=3,
    edits=(
        (
            "pipeline/contracts/samples.py",
            '    Measure(\n        key="is_correct",',
            """\
    Measure(
        key="num_answer_characters",
        task="text_overlap",
        column="num_answer_characters",
        type="int64",
        direction="neutral",
        unit="tokens",
        aggregation="mean",
    ),
""",
        ),
        (
            "pipeline/evaluation/generation.py",
            '                "cut_at_cap": completion.finish_reason == "length",',
            '                "num_answer_characters": len(answer),\n',
        ),
        (
            "platform/studio/measures/labels.py",
            '    "is_correct": Label(',
            """\
    "num_answer_characters": Label(
        name="Characters",
        definition="Characters of an answer, mean.",
    ),
""",
        ),
        ("docs/metrics.md", "- Keys: `num_answer_tokens`", "- Keys: `num_answer_characters`.\n"),
    ),
)
KIND = Extension(
    section="Add a kind of run",
    max_sources=4,
    edits=(
        (
            "pipeline/contracts/kinds.py",
            "from pipeline.contracts.training_specs import",
            "from pipeline.contracts.row_count import CountRowsResults, CountRowsSpec\n",
        ),
        ("pipeline/contracts/kinds.py", ")\nRunResults = (", "    | CountRowsSpec\n"),
        (
            "pipeline/contracts/kinds.py",
            ")\nRUN_SPECS: dict",
            "    | CountRowsResults\n",
        ),
        (
            "platform/studio/runs/kinds.py",
            '        RunKind(\n            name="import_checkpoint",',
            """\
        RunKind(
            name="count_rows",
            label=_("Evaluation"),
            queue=Queue.INTERACTIVE,
        ),
""",
        ),
        (
            "tests/contract/test_specs.py",
            '    "import_checkpoint",\n',
            '    "count_rows",\n',
        ),
    ),
    files={
        "pipeline/contracts/row_count.py": '''\
"""What a count of rows is asked and answers."""

from typing import Literal

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.references import CorpusRef


class CountRowsSpec(SpecBase):
    """Count the documents of a corpus."""

    kind: Literal["count_rows"] = "count_rows"
    dataset: CorpusRef


class CountRowsResults(Contract):
    """How many there are."""

    kind: Literal["count_rows"] = "count_rows"
    num_rows: int
''',
        "pipeline/recipes/count_rows.py": '''\
"""Count the documents of a corpus."""

from pipeline.contracts.row_count import CountRowsResults, CountRowsSpec
from pipeline.data.datasets import read_rows
from pipeline.data.records import Document
from pipeline.execution import RecipeResult, RunContext


def run(spec: CountRowsSpec, context: RunContext) -> RecipeResult:
    """The corpus was read whole."""
    documents = read_rows(spec.dataset, Document)
    return RecipeResult(results=CountRowsResults(num_rows=len(documents)))
''',
        "tests/contract/golden/count_rows.json": """\
{
 "written": {"kind": "count_rows", "dataset": {"kind": "corpus", "path": "corpus.jsonl"}},
 "canonical": {
  "dataset": {
   "digest": null, "encoding": "utf-8", "from_step": null, "kind": "corpus", "limit": null,
   "output": "dataset", "path": "corpus.jsonl", "where": []
  },
  "kind": "count_rows", "name": "", "schema_version": 1, "seed": 0
 },
 "digest": "0ff6f40edfaa7a18bb0ac9970bdb8d17c16c2105bf146f7ef94c65666ce3d447"
}
""",
        "examples/specs/count_rows.json": '{"kind": "count_rows", "dataset": '
        '{"kind": "corpus", "path": "corpus.jsonl"}}\n',
    },
)
METHOD = Extension(
    section="Add a drafting method",
    max_sources=3,
    edits=(
        (
            "pipeline/contracts/decoding_spec.py",
            "SpeculativeArm = DraftModelArm | Int8DraftArm",
            '''\
class RepeatArm(ArmBase):
    """The last token again is the draft."""

    method: Literal["repeat"] = "repeat"
    name: SourceName = "repeat"


SpeculativeArm = RepeatArm | DraftModelArm | NGramArm...''',
        ),
    ),
    files={
        "pipeline/decoding/proposers/repeat.py": '''\
"""The last token again is the draft (`RepeatArm`)."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from pipeline.contracts.decoding_spec import RepeatArm
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.base import Draft


def open_proposer(arm: RepeatArm, target: PreTrainedModel) -> "RepeatProposer":
    """It serves any target."""
    return RepeatProposer()


class RepeatProposer:
    """Drafts the last token; needs no model."""

    name = "repeat"
    models: tuple[PreTrainedModel, ...] = ()
    step_model = None
    output_ids = None
    answer_store = None

    def check(self, target: PreTrainedModel, num_positions: int) -> None:
        """Nothing to check."""

    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        capacity: int,
        params: SamplingParams,
        generator: torch.Generator,
    ) -> "_RepeatSession":
        """A session without memory."""
        return _RepeatSession(generator.device)


class _RepeatSession:
    def __init__(self, device: torch.device) -> None:
        self.device = device

    def propose(self, sequences: Sequence[Sequence[int]], num_tokens: int) -> Draft:
        rows = [[sequence[-1]] * num_tokens for sequence in sequences]
        return Draft(
            token_ids=torch.tensor(rows, dtype=torch.long, device=self.device),
            num_tokens=(num_tokens,) * len(rows),
            probs=None,
        )

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Nothing to keep."""
''',
    },
)
PAGE = Extension(
    section="Add a page",
    max_sources=2,
    edits=(
        (
            "platform/studio/runs/urls.py",
            "from studio.runs import live, views, views_plans",
            "from studio.runs.views_count import count\n",
        ),
        (
            "platform/studio/runs/urls.py",
            '    path("plans/", views_plans.plans, name="plans"),',
            '    path("count/", count, name="count"),\n',
        ),
        (
            "tests/web/test_pages.py",
            '    "runs:plans": Page(allowed=MEMBERS),',
            '    "runs:count": Page(allowed=MEMBERS),\n',
        ),
    ),
    files={
        "platform/studio/runs/views_count.py": '''\
"""How many runs a project has."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from studio.accounts.access import ProjectRequest, project_required
from studio.runs.models import Run


@require_safe
@project_required()
def count(request: ProjectRequest) -> HttpResponse:
    """One number."""
    num_runs = Run.objects.filter(project=request.project).count()
    return render(request, "runs/count.html", {"num_runs": num_runs})
''',
        "templates/runs/count.html": '{% extends "base.html" %}\n'
        "{% block content %}<h1>{{ num_runs }}</h1>{% endblock %}\n",
    },
)
EXTENSIONS = (METRIC, KIND, METHOD, PAGE)


def sections() -> dict[str, str]:
    """Text of CONTRIBUTING.md by heading of the second level."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def named_paths(section: str) -> list[str]:
    """What stands between backticks and looks like a path, `<placeholders>` included."""
    return re.findall(r"`([\w./<>-]+/[\w./<>-]+)`", section)


def is_named(path: str, names: list[str]) -> bool:
    patterns = [re.sub(r"<[^>]+>", "*", name) for name in names]
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


@pytest.mark.parametrize("extension", EXTENSIONS, ids=lambda one: one.section)
def test_an_extension_touches_only_what_is_named(extension: Extension) -> None:
    names = named_paths(sections()[extension.section])
    assert [path for path in extension.touched if not is_named(path, names)] == []
    assert len(extension.sources) <= extension.max_sources


def test_every_named_file_and_test_exists() -> None:
    for title, text in sections().items():
        for name in named_paths(text):
            if "<" not in name:
                assert (ROOT / name).exists(), f"{title}: {name}"


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with all four toys."""
    copy = tmp_path_factory.mktemp("extended") / "repository"
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    for extension in EXTENSIONS:
        for path, anchor, lines in extension.edits:
            text = (copy / path).read_text(encoding="utf-8")
            assert anchor in text, f"{path} has no {anchor!r}"
            new = lines.removesuffix("...") if lines.endswith("...") else lines + anchor
            (copy / path).write_text(text.replace(anchor, new, 1), encoding="utf-8")
        for path, content in extension.files.items():
            (copy / path).write_text(content, encoding="utf-8")
    shutil.copyfile(TOYS / "try_toys.py", copy / "tests/test_toys.py")
    return copy


def in_copy(copy: Path, *command: str) -> str:
    """What the command printed; it succeeds in the copy."""
    environment = os.environ | {"PYTHONPATH": f"{copy}:{copy / 'platform'}"}
    result = subprocess.run(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    return result.stdout


@pytest.mark.slow
def test_the_import_contracts_hold_with_the_toys(extended: Path) -> None:
    in_copy(extended, "lint-imports", "--no-cache")


@pytest.mark.extensions
def test_the_touched_files_have_types(extended: Path) -> None:
    touched = [path for one in EXTENSIONS for path in one.sources if path.endswith(".py")]
    in_copy(extended, "mypy", *touched)


@pytest.mark.extensions
def test_the_toys_work(extended: Path) -> None:
    in_copy(extended, "python", "-m", "pytest", "-q", "-x", "-n", "0", "tests/test_toys.py")


@pytest.mark.extensions
def test_the_tests_that_are_named_pass_with_the_toys(extended: Path) -> None:
    page = in_copy(extended, "python", "-m", "pipeline", "schema", "--markdown")
    (extended / "docs/specs.md").write_text(page, encoding="utf-8")
    named = [
        name
        for extension in EXTENSIONS
        for name in named_paths(sections()[extension.section])
        if name.startswith("tests/") and name.endswith(".py") and "<" not in name
    ]
    # Of the hundreds that open every page, those of the new one.
    few = ["-k", "runs:count or not test_pages or says_who_may_open_it"]
    in_copy(extended, "python", "-m", "pytest", "-q", "-x", "-n", "2", *few, *dict.fromkeys(named))
