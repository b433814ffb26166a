"""The form that takes a file."""

from pathlib import PurePath
from typing import Any

from django import forms
from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from studio.accounts.models import Project
from studio.datasets.models import Dataset, DatasetKind
from studio.datasets.unfinished import Cap
from studio.pages.forms import CheckedTextMixin
from studio.runs.disk import upload_fits


class UploadForm(CheckedTextMixin, forms.Form):
    """A file, and which data set it becomes a version of."""

    file = forms.FileField(label=gettext_lazy("File"), max_length=255)
    kind = forms.ChoiceField(
        label=gettext_lazy("What the rows are"),
        choices=DatasetKind.choices,
        widget=forms.RadioSelect,
    )
    name = forms.CharField(
        label=gettext_lazy("Data set"),
        max_length=120,
        required=False,
        help_text=gettext_lazy(
            "A new name makes a new data set, an existing one adds a version. Empty: the name of "
            "the file."
        ),
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("What is new in this version, or where it comes from."),
    )

    def __init__(
        self,
        *args: Any,
        project: Project,
        num_request_bytes: int = 0,
        exceeded_cap: Cap | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._project = project
        limit = settings.STUDIO_MAX_UPLOAD_BYTES
        self.fields["file"].help_text = _(
            "JSON Lines, JSON, CSV, XLSX or Parquet, of documents also text, Markdown, Word or "
            "PDF, or several files as one zip archive, at most %(limit)s."
        ) % {"limit": filesizeformat(limit)}
        # Where the upload handler has dropped the file, "required" would mislead.
        if exceeded_cap is not None:
            self.fields["file"].error_messages["required"] = str(exceeded_cap)
        if num_request_bytes > limit:
            self.fields["file"].error_messages["required"] = _(
                "The file is larger than %(limit)s (%(size)s were sent). Split it, or ask an "
                "engineer to import it on the server."
            ) % {"limit": filesizeformat(limit), "size": filesizeformat(num_request_bytes)}
        elif num_request_bytes and not upload_fits(num_request_bytes):
            self.fields["file"].error_messages["required"] = _(
                "There is no room on the disk for %(size)s. Ask an administrator to free space on "
                "the page Disk."
            ) % {"size": filesizeformat(num_request_bytes)}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        file, kind = cleaned.get("file"), cleaned.get("kind")
        if file is None or not kind:
            return cleaned
        cleaned["name"] = cleaned.get("name", "").strip() or PurePath(file.name).stem[:120]
        existing = Dataset.objects.filter(project=self._project, name=cleaned["name"]).first()
        if existing is not None and existing.kind != kind:
            self.add_error(
                "name",
                _("The data set %(name)s holds %(kind)s: choose another name.")
                % {"name": existing.name, "kind": existing.get_kind_display()},
            )
        return cleaned
