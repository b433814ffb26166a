from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from studio.accounts.models import OneTimeLink, Project, Role, User
from studio.pages.attention import AttentionRow


def attention_rows(project: Project, user: User, role: Role) -> list[AttentionRow]:
    """Open invitations, for administrators."""
    if role != Role.ADMIN:
        return []
    num_open = OneTimeLink.objects.filter(
        project=project,
        purpose=OneTimeLink.Purpose.INVITE,
        used_at=None,
        expires_at__gt=timezone.now(),
    ).count()
    url = reverse("accounts:members", args=[project.slug]) + "#invitations"
    return [AttentionRow(label=_("open invitations"), count=num_open, url=url)]
