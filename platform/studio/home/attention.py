"""What waits for whom: the rows at the top of the home page.

A source gives rows for one person and leaves out what their role has nothing to do with. Each row
links to the list that its number counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from studio.accounts.models import OneTimeLink, Project, Role
from studio.datasets.models import Import
from studio.runs.models import Run
from studio.runs.states import RunState

RECENT = timedelta(days=7)
"""How long something that went wrong waits for people."""
Tone = Literal["neutral", "attention", "bad"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionRow:
    """`count` things, described by `label`, wait at `url`."""

    label: str
    count: int
    url: str
    tone: Tone = "neutral"


def attention_rows(project: Project, role: Role) -> list[AttentionRow]:
    """What waits for a member who acts as `role`; nothing that counts 0."""
    return [row for source in _SOURCES for row in source(project, role) if row.count]


def _runs(project: Project, role: Role) -> list[AttentionRow]:
    """Runs that work, wait or failed lately, for those who start them."""
    if role not in (Role.ENGINEER, Role.ADMIN):
        return []
    lately = Q(state=RunState.FAILED, finished_at__gt=timezone.now() - RECENT, continued_by=None)
    counts = Run.objects.filter(project=project).aggregate(
        running=Count("pk", filter=Q(state=RunState.RUNNING)),
        queued=Count("pk", filter=Q(state=RunState.QUEUED)),
        failed=Count("pk", filter=lately),
    )
    index = reverse("runs:index", args=[project.slug])
    return [
        AttentionRow(
            label=_("runs at work"), count=counts["running"], url=f"{index}?state=running"
        ),
        AttentionRow(label=_("runs queued"), count=counts["queued"], url=f"{index}?state=queued"),
        AttentionRow(
            label=_("runs failed in the last 7 days"),
            count=counts["failed"],
            url=f"{index}?state=failed",
            tone="bad",
        ),
    ]


def _uploads(project: Project, role: Role) -> list[AttentionRow]:
    """Uploads of the last days of which nothing was kept, for those who upload."""
    if role == Role.REVIEWER:
        return []
    rejected = Import.objects.filter(
        dataset__project=project,
        upload__discarded_at=None,
        upload__versions=None,
        run__state=RunState.SUCCEEDED,
        run__finished_at__gt=timezone.now() - RECENT,
    )
    return [
        AttentionRow(
            label=_("uploads checked, not kept as a version yet"),
            count=rejected.values("upload").distinct().count(),
            url=reverse("datasets:index", args=[project.slug]),
            tone="attention",
        )
    ]


def _invitations(project: Project, role: Role) -> list[AttentionRow]:
    """Open invitations, for administrators."""
    if role != Role.ADMIN:
        return []
    invitations = OneTimeLink.objects.open().filter(purpose=OneTimeLink.Purpose.INVITE)
    num_open = invitations.filter(project=project).count()
    url = reverse("accounts:members", args=[project.slug]) + "#invitations"
    return [AttentionRow(label=_("open invitations"), count=num_open, url=url)]


_SOURCES: tuple[Callable[[Project, Role], list[AttentionRow]], ...] = (
    _runs,
    _uploads,
    _invitations,
)
