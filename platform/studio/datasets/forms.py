"""Forms of uploads."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from django import forms
from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.contracts.dataset_manifest import ColumnMeaning
from pipeline.contracts.upgrades import upgrade_spec
from studio.accounts.models import Project
from studio.datasets.fields import field_choices
from studio.datasets.models import Dataset, DatasetKind, Import, ImportPolicy
from studio.datasets.unfinished import Cap
from studio.pages.forms import CheckedTextMixin
from studio.runs.disk import upload_fits

KEEP_AS_META = "meta"
IGNORE = "ignore"
TEST_KINDS = frozenset({DatasetKind.DOMAIN_TEST, DatasetKind.MULTIPLE_CHOICE})
ENCODINGS = (
    ("auto", gettext_lazy("Find out (UTF-8, then GB18030)")),
    ("utf-8", "UTF-8"),
    ("gb18030", "GB18030 (GBK, GB2312)"),
)


class _ReadingForm(CheckedTextMixin, forms.Form):
    """How the file is to be read."""

    encoding = forms.ChoiceField(
        label=gettext_lazy("Encoding"), choices=ENCODINGS, initial="auto", required=False
    )
    sheet = forms.CharField(
        label=gettext_lazy("Sheet"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Only for workbooks with several sheets."),
    )

    def clean_encoding(self) -> str:
        return self.cleaned_data["encoding"] or "auto"


class UploadForm(_ReadingForm):
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
    policy = forms.ChoiceField(
        label=gettext_lazy("When some rows are wrong"),
        choices=(
            ("", gettext_lazy("As usual: tests all or nothing, training data the right rows")),
            *ImportPolicy.choices,
        ),
        widget=forms.RadioSelect,
        required=False,
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("What is new in this version, or where it comes from."),
    )
    field_order = ("file", "kind", "name", "policy", "encoding", "sheet", "note")

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
        cleaned["policy"] = cleaned.get("policy") or (
            ImportPolicy.ALL_OR_NOTHING if kind in TEST_KINDS else ImportPolicy.VALID_ROWS
        )
        existing = Dataset.objects.filter(project=self._project, name=cleaned["name"]).first()
        if existing is not None and existing.kind != kind:
            self.add_error(
                "name",
                _("The data set %(name)s holds %(kind)s: choose another name.")
                % {"name": existing.name, "kind": existing.get_kind_display()},
            )
        return cleaned


class AgainForm(_ReadingForm):
    """Other settings for reading a file that was uploaded before."""

    policy = forms.ChoiceField(
        label=gettext_lazy("When some rows are wrong"),
        choices=ImportPolicy.choices,
        widget=forms.RadioSelect,
    )
    field_order = ("encoding", "sheet", "policy")

    def __init__(
        self, *args: Any, earlier: Import, columns: Sequence[ColumnMeaning], **kwargs: Any
    ) -> None:
        """`columns` are name and field of each column, as the earlier run read them."""
        spec: dict[str, Any] = upgrade_spec(earlier.run.spec)
        kwargs.setdefault(
            "initial",
            {
                "encoding": spec["encoding"],
                "sheet": next(iter(spec["sheets"]), ""),
                "policy": spec["policy"],
            },
        )
        super().__init__(*args, **kwargs)
        self._mapped: dict[str, str] = spec["columns"]
        self._columns = columns
        choices = [
            *field_choices(earlier.dataset.kind),
            (KEEP_AS_META, _("keep as additional information")),
            (IGNORE, _("leave out")),
        ]
        fields = {value for value, _label in choices}
        for number, column in enumerate(columns):
            meaning = column.field
            self.fields[f"column_{number}"] = forms.ChoiceField(
                label=column.name,
                choices=choices,
                initial=meaning if meaning in fields else KEEP_AS_META,
                required=False,
            )

    @property
    def column_fields(self) -> list[forms.BoundField]:
        """One field for each column of the file."""
        return [self[f"column_{number}"] for number in range(len(self._columns))]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        mapping = dict(self._mapped)
        meanings: dict[str, str] = {}
        for number, column in enumerate(self._columns):
            field = self.fields[f"column_{number}"]
            chosen = cleaned.get(f"column_{number}") or field.initial
            if chosen not in {KEEP_AS_META, IGNORE} and chosen in meanings:
                self.add_error(
                    f"column_{number}",
                    _("%(column)s means the same already: choose another meaning for one of them.")
                    % {"column": meanings[chosen]},
                )
            meanings[chosen] = column.name
            if chosen != field.initial:
                mapping[column.name] = (
                    f"meta.{column.name.replace('.', '_')}" if chosen == KEEP_AS_META else chosen
                )
        cleaned["columns"] = mapping
        return cleaned
