"""Uploaded files go to disk as they arrive: where a page takes them, up to the caps."""

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler
from django.http import HttpRequest

from studio.accounts.models import Project, User
from studio.datasets.unfinished import Cap, arriving_prefix, exceeded_cap
from studio.runs.disk import upload_fits
from studio.runs.rights import may_start

UPLOAD_PAGES = frozenset({"datasets:upload"})
"""The views that read a file; what is sent to any other address is not kept for a moment."""


class ArrivingFile(TemporaryUploadedFile):
    """A file on the disk of the uploads; its name says for whom it is and how large it may get."""

    def __init__(self, prefix: str, *args: Any) -> None:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 (closed by the request)
            prefix=prefix, suffix=".upload", dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        UploadedFile.__init__(self, file, *args)


class CappedUploadHandler(TemporaryFileUploadHandler):
    """Drops the content of a file that nobody may send here, or that exceeds a cap or the disk.

    The request goes on without the file and without its bytes on disk, so that the form can say
    why: it finds the exceeded cap in `request.exceeded_cap`, and `studio.datasets.forms` compares
    the request's length with `STUDIO_MAX_UPLOAD_BYTES`.
    """

    request: HttpRequest

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """A temporary file is open, unless the file is refused."""
        announced = self.request.META.get("CONTENT_LENGTH") or "0"
        num_bytes = int(announced) if announced.isdecimal() else 0
        user, project = self.request.user, self._receiver()
        is_too_large = num_bytes > settings.STUDIO_MAX_UPLOAD_BYTES
        if project is None or not isinstance(user, User) or is_too_large:
            raise SkipFile
        if not upload_fits(num_bytes):
            raise SkipFile
        super(TemporaryFileUploadHandler, self).new_file(*args, **kwargs)
        prefix = arriving_prefix(project=project, uploader=user, num_bytes=num_bytes)
        # On disk before the caps are asked: of many that arrive at once each counts the others.
        self.file = ArrivingFile(
            prefix, self.file_name, self.content_type, 0, self.charset, self.content_type_extra
        )
        cap = exceeded_cap(project=project, uploader=user)
        if cap is not None:
            self.file.close()
            self.request.exceeded_cap = cap  # type: ignore[attr-defined]  # for the form
            raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """The bytes are in the temporary file, which is gone when the disk has no room for them."""
        with self._removed_on_error():
            return super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> UploadedFile | None:
        """The file is whole, or gone when the disk has no room for its end."""
        with self._removed_on_error():
            return super().file_complete(file_size)

    @contextlib.contextmanager
    def _removed_on_error(self) -> Iterator[None]:
        """Django closes only files that are complete; this one would stay until it is collected."""
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError):
                self.upload_interrupted()
            raise

    def _receiver(self) -> Project | None:
        """The project that a page of ours receives the file for; None where none does."""
        match = self.request.resolver_match
        user = self.request.user
        if match is None or match.view_name not in UPLOAD_PAGES or not isinstance(user, User):
            return None
        project: Project | None = Project.objects.filter(slug=match.kwargs["project"]).first()
        return project if project and may_start(user, project, "import_dataset") else None


def exceeded_cap_of(request: HttpRequest) -> Cap | None:
    """The cap for which a file of the request was dropped."""
    return getattr(request, "exceeded_cap", None)
