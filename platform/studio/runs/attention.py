from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from studio.accounts.models import Project, Role, User
from studio.pages.attention import RECENT, AttentionRow
from studio.runs.models import Run


def attention_rows(project: Project, user: User, role: Role) -> list[AttentionRow]:
    """Runs that work, wait or failed lately, for those who start them."""
    if role not in (Role.ENGINEER, Role.ADMIN):
        return []
    lately = Q(state="failed", finished_at__gt=timezone.now() - RECENT, continued_by=None)
    counts = Run.objects.filter(project=project).aggregate(
        running=Count("pk", filter=Q(state="running")),
        queued=Count("pk", filter=Q(state="queued")),
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
