"""What a run of a project may read, as choices: nobody types a path.

A choice's token travels through the browser; the path and digest behind it never do. A token that
is not among the project's choices is refused like any other wrong choice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.contracts.harness_tasks import TaskFilesRef
from pipeline.contracts.manifest import file_sha256
from studio.accounts.models import Project
from studio.datasets.examples import EXAMPLE_KINDS, example_path, example_stems
from studio.datasets.models import DatasetVersion
from studio.datasets.task_files import task_folders
from studio.registry.models import BASE, Checkpoint
from studio.runs.kinds import kind_label
from studio.runs.models import Run
from studio.runs.paths import attempt_dir
from studio.runs.states import RunState

MAX_CHOICES = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One thing that a field of a spec may name."""

    token: str
    label: str
    path: Path
    digest: str | None = None
    kind: str = ""
    """Kind of a data set; empty for everything else."""

    def reference(self) -> dict[str, Any]:
        """The choice as a spec writes it."""
        digest = self.digest
        if digest is None and self.token.startswith("example:"):
            digest = file_sha256(self.path)
        found = {"path": str(self.path), "digest": digest}
        return found | {"kind": self.kind} if self.kind else found


def version_choice(version: DatasetVersion) -> Choice:
    """The rows of a version."""
    return Choice(
        token=f"version:{version.pk}",
        label=_("%(version)s, %(num_rows)d rows")
        % {"version": version, "num_rows": version.num_rows},
        path=version.rows_path,
        digest=version.digest,
        kind=version.dataset.kind,
    )


def checkpoint_choice(checkpoint: Checkpoint) -> Choice:
    """The model of a checkpoint."""
    return Choice(
        token=f"checkpoint:{checkpoint.pk}",
        label=f"{checkpoint.name} ({checkpoint.get_kind_display()}, #{checkpoint.pk})",
        path=checkpoint.model_path,
        digest=checkpoint.digest or None,
    )


def base_choices() -> list[Choice]:
    """Models that the installation prepared; every project may start from them."""
    models = Path(settings.STUDIO_DATA_DIR) / "models"
    return [
        Choice(token=f"base:{path.parent.name}", label=path.parent.name, path=path.parent)
        for path in sorted(models.glob("*/config.json"))
    ]


def task_files_choices() -> list[Choice]:
    """Rows of tasks of the harness that an administrator brought; every project may use them."""
    return [
        Choice(token=f"task_files:{path.name}", label=path.name, path=path)
        for path in task_folders()
    ]


def example_choice(stem: str, lang: str) -> Choice:
    """A file of the demonstration."""
    return Choice(
        token=f"example:{stem}.{lang}",
        label=_("Demonstration: %(name)s") % {"name": f"{stem}.{lang}"},
        path=example_path(stem, lang),
        kind=EXAMPLE_KINDS[stem],
    )


class ProjectChoices:
    """Data set versions, checkpoints and outputs of the project; each list is read once.

    Args:
        project: whose things they are.
        earlier: the spec of a run that serves as a template; what it names stays a choice.
    """

    def __init__(self, project: Project, *, earlier: Mapping[str, Any] | None = None) -> None:
        self._project = project
        self._earlier = earlier or {}

    def datasets(self, kinds: tuple[str, ...]) -> list[Choice]:
        """Versions whose rows are of one of `kinds`, newest first, then the examples."""
        return [choice for choice in self._datasets if choice.kind in kinds]

    def outputs(self, name: str) -> list[Choice]:
        """What finished runs left under this name; for `model` the project's checkpoints, for
        `task_files` the installation's folders."""
        is_model = name == "model"
        if is_model:
            found = [checkpoint_choice(checkpoint) for checkpoint in self._checkpoints]
        elif name == TaskFilesRef.takes:
            found = task_files_choices()
        else:
            found = self._stored(name)
        known = {choice.path for choice in found}
        if is_model:
            prepared = [choice for choice in base_choices() if choice.path not in known]
            found = found + prepared
            known |= {choice.path for choice in prepared}
        kept = [choice for choice in self._kept if not choice.kind]
        return found + [choice for choice in kept if choice.path not in known]

    def bases(self) -> list[Choice]:
        """Models that the whole method can start from: no draft, and first what nothing trained."""
        kinds = {checkpoint.model_path: checkpoint.kind for checkpoint in self._checkpoints}
        models = [choice for choice in self.outputs("model") if kinds.get(choice.path) != "draft"]
        untrained = (BASE.name, "imported")
        return sorted(models, key=lambda choice: kinds.get(choice.path, BASE.name) not in untrained)

    @cached_property
    def _datasets(self) -> list[Choice]:
        versions = (
            DatasetVersion.objects.live()
            .filter(dataset__project=self._project)
            .select_related("dataset")
            .defer("manifest")
            .order_by("-pk")[:MAX_CHOICES]
        )
        found = [version_choice(version) for version in versions]
        found += _examples()
        known = {choice.path for choice in found}
        return found + [c for c in self._kept if c.kind and c.path not in known]

    def _stored(self, name: str) -> list[Choice]:
        runs = (
            Run.objects.filter(
                project=self._project,
                state=RunState.SUCCEEDED,
                report__outputs__has_key=name,
            )
            .order_by("-finished_at")
            .values_list("pk", "attempt", "name", "kind", f"report__outputs__{name}")[:MAX_CHOICES]
        )
        return [
            Choice(
                token=f"run:{pk}:{name}",
                label=f"{run_name} ({kind_label(kind)}, {str(pk)[:8]})",
                path=attempt_dir(pk, attempt) / output["path"],
                digest=output.get("digest"),
            )
            for pk, attempt, run_name, kind, output in runs
        ]

    @cached_property
    def _checkpoints(self) -> list[Checkpoint]:
        checkpoints = Checkpoint.objects.live().filter(project=self._project)
        return list(checkpoints.defer("facts").order_by("-pk")[:MAX_CHOICES])

    @cached_property
    def _kept(self) -> list[Choice]:
        return [
            Choice(
                token=f"kept:{index}",
                label=_("as before: %(name)s") % {"name": Path(node["path"]).name},
                path=Path(node["path"]),
                digest=node.get("digest"),
                kind=node.get("kind", ""),
            )
            for index, node in enumerate(_references(self._earlier))
        ]


def _examples() -> list[Choice]:
    """The demonstration's files, so that a new project has something to run."""
    return [example_choice(stem, lang) for stem, lang in example_stems()]


def _references(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("path"), str):
            yield dict(value)
        for child in value.values():
            yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)
