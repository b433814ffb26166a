"""What could be freed, as the rows of a table: one for each run, the largest first."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from studio.accounts.models import Project
from studio.runs.models import Run
from studio.storage.rules import Kind
from studio.storage.sweeping import Found

LABELS: dict[Kind, Promise] = {
    Kind.CHECKPOINT: gettext_lazy("superseded checkpoints"),
    Kind.OUTPUT: gettext_lazy("outputs of superseded attempts"),
    Kind.LEFTOVER: gettext_lazy("left half written"),
    Kind.TRASH: gettext_lazy("removed, not yet emptied"),
    Kind.UPLOAD: gettext_lazy("uploads that nobody finished"),
    Kind.DELETED: gettext_lazy("files of what was deleted"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageRow:
    """What could go of one run, or of a project's uploads."""

    project: str
    name: str
    url: str
    state: str
    parts: tuple[tuple[str, int], ...]
    """(what, how many)."""
    num_bytes: int


def storage_rows(found: list[Found]) -> list[StorageRow]:
    """A row for each run, and for what belongs to none; the largest first."""
    groups: dict[tuple[int | None, UUID | None], list[Found]] = defaultdict(list)
    for one in found:
        groups[one.choice.project_id, one.choice.run_id].append(one)
    runs = Run.objects.defer("report", "spec").in_bulk([run_id for _, run_id in groups if run_id])
    projects = Project.objects.in_bulk([key for key, _ in groups if key])
    rows = []
    for (project_id, run_id), members in groups.items():
        run = runs.get(run_id) if run_id else None
        project = projects.get(project_id) if project_id else None
        kinds = Counter(one.choice.kind for one in members)
        rows.append(
            StorageRow(
                project=project.name if project else "",
                name=run.name if run else _("Without a run"),
                url=reverse("runs:detail", args=[project.slug, run.pk]) if run and project else "",
                state=run.state if run else "",
                parts=tuple((str(LABELS[kind]), kinds[kind]) for kind in Kind if kinds[kind]),
                num_bytes=sum(one.num_bytes for one in members),
            )
        )
    return sorted(rows, key=lambda row: -row.num_bytes)
