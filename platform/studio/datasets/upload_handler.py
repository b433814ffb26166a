"""Uploaded files go to disk as they arrive, up to the cap."""

from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler


class CappedUploadHandler(TemporaryFileUploadHandler):
    """Drops the content of a file that exceeds `STUDIO_MAX_UPLOAD_BYTES`.

    The request goes on without the file and without its bytes on disk, so that the form can say
    why; `studio.datasets.forms` compares the request's length with the cap.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """A temporary file is open, unless the request announces more than the cap."""
        content_length = self.request.META.get("CONTENT_LENGTH") or "0"  # type: ignore[union-attr]
        if content_length.isdecimal() and int(content_length) > settings.STUDIO_MAX_UPLOAD_BYTES:
            raise SkipFile
        super().new_file(*args, **kwargs)
