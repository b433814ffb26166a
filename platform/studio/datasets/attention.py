from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from studio.accounts.models import Project, Role, User
from studio.datasets.models import Import
from studio.pages.attention import RECENT, AttentionRow


def attention_rows(project: Project, user: User, role: Role) -> list[AttentionRow]:
    """Uploads of the last days of which nothing was kept, for those who upload."""
    if role == Role.REVIEWER:
        return []
    rejected = Import.objects.filter(
        dataset__project=project,
        upload__discarded_at=None,
        upload__versions=None,
        run__state="succeeded",
        run__finished_at__gt=timezone.now() - RECENT,
    )
    return [
        AttentionRow(
            label=_("uploads with wrong rows, not kept yet"),
            count=rejected.values("upload").distinct().count(),
            url=reverse("datasets:index", args=[project.slug]),
            tone="attention",
        )
    ]
