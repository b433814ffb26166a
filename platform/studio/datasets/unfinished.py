"""How much somebody may send without deciding about it.

An upload is unfinished while it arrives, and until it was kept as a version or discarded. Number
and bytes of both together are capped for each person and each project, so that nobody fills the
disk by sending files and walking away.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import Count, Sum
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from studio.accounts.models import Project, User
from studio.datasets.models import Upload
from studio.datasets.querysets import UploadQuerySet

ARRIVING_SECONDS = 3600
"""A file that has not grown for so long does not arrive any more: its process was killed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cap:
    """At most so many unfinished uploads, of together so many bytes."""

    number: int
    num_bytes: int
    is_project: bool

    def __str__(self) -> str:
        limits = {"number": self.number, "size": filesizeformat(self.num_bytes)}
        if self.is_project:
            return (
                _(
                    "The project has its fill of unfinished uploads (at most %(number)d, together "
                    "%(size)s): keep them as versions or discard them first."
                )
                % limits
            )
        return (
            _(
                "You have your fill of unfinished uploads (at most %(number)d, together %(size)s): "
                "keep them as versions or discard them first."
            )
            % limits
        )


def arriving_prefix(*, project: Project, uploader: User, num_bytes: int) -> str:
    """How the name of an arriving file begins."""
    return f"{project.pk}-{uploader.pk}-{num_bytes}-"


def exceeded_cap(*, project: Project, uploader: User) -> Cap | None:
    """The cap that what is unfinished now exceeds; None if all hold."""
    number, num_bytes = settings.STUDIO_MAX_UNFINISHED_PER_USER
    of_user = Cap(number=number, num_bytes=num_bytes, is_project=False)
    number, num_bytes = settings.STUDIO_MAX_UNFINISHED_PER_PROJECT
    of_project = Cap(number=number, num_bytes=num_bytes, is_project=True)
    unfinished = Upload.objects.unfinished()
    arriving = _arriving()
    if _exceeds(
        unfinished.filter(uploader=uploader),
        [size for _project, user, size in arriving if user == uploader.pk],
        of_user,
    ):
        return of_user
    if _exceeds(
        unfinished.filter(project=project),
        [size for receiver, _user, size in arriving if receiver == project.pk],
        of_project,
    ):
        return of_project
    return None


def _exceeds(stored: UploadQuerySet, arriving: list[int], cap: Cap) -> bool:
    found = stored.aggregate(number=Count("pk"), num_bytes=Sum("num_bytes"))
    number = found["number"] + len(arriving)
    return number > cap.number or (found["num_bytes"] or 0) + sum(arriving) > cap.num_bytes


def _arriving() -> list[tuple[int, int, int]]:
    """(project, user, announced bytes) of each file that arrives now."""
    newest = time.time() - ARRIVING_SECONDS
    found = []
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*-*-*-*.upload"):
        try:
            is_recent = path.stat().st_mtime > newest
        except FileNotFoundError:
            continue
        project, user, num_bytes, _random = path.name.split("-", 3)
        if is_recent:
            found.append((int(project), int(user), int(num_bytes)))
    return found
