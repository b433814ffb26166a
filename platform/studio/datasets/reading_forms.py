"""The form beside a preview: how the file is to be read, and what it is to become."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import ValidationError

from pipeline.contracts.base import validation_problems
from pipeline.contracts.import_specs import ReadingOptions
from pipeline.contracts.preview_dataset import PreviewDatasetResults, PreviewedColumn
from studio.datasets.fields import field_choices
from studio.datasets.models import DatasetKind, Preview
from studio.pages.forms import CheckedTextMixin

KEEP_AS_META = "meta"
IGNORE = "ignore"
ENCODINGS = (
    ("auto", gettext_lazy("Detect")),
    ("utf-8", "UTF-8"),
    ("gb18030", "GB18030 (GBK, GB2312)"),
    ("big5", gettext_lazy("Big5 (traditional Chinese)")),
    ("shift_jis", gettext_lazy("Shift-JIS (Japanese)")),
    ("utf-16", "UTF-16"),
)
DELIMITERS = (
    ("auto", gettext_lazy("Detect")),
    (",", gettext_lazy("comma ,")),
    (";", gettext_lazy("semicolon ;")),
    ("\t", gettext_lazy("tab")),
    ("|", gettext_lazy("bar |")),
)
ANSWERS_FROM = (
    ("", gettext_lazy("Detect")),
    (0, gettext_lazy("0 is the first choice")),
    (1, gettext_lazy("1 is the first choice")),
)
MOJIBAKE = "row.mojibake"
TEXT_FORMATS = frozenset({"csv", "json_lines", "json_array", "text", "markdown", "zip", ""})
"""Formats whose bytes are of some encoding; "" where the content could not be told."""
_TAKEN_AS_THEY_ARE = (
    "encoding", "delimiter", "header_row", "max_document_chars", "answers_from"
)  # fmt: skip
TABLE_FORMATS = frozenset({"csv", "xlsx"})


class ReadingForm(CheckedTextMixin, forms.Form):
    """Only what the file's format has is asked; everything else stays as the preview had it."""

    kind = forms.ChoiceField(label=gettext_lazy("What the rows are"), choices=DatasetKind.choices)
    dataset_name = forms.CharField(
        label=gettext_lazy("Data set"),
        max_length=120,
        help_text=gettext_lazy("A new name makes a new data set, an existing one adds a version."),
    )
    note = forms.CharField(label=gettext_lazy("Note"), max_length=200, required=False)
    encoding = forms.ChoiceField(label=gettext_lazy("Encoding"), choices=ENCODINGS)
    delimiter = forms.ChoiceField(
        label=gettext_lazy("Character between the columns"), choices=DELIMITERS
    )
    sheets = forms.MultipleChoiceField(
        label=gettext_lazy("Sheets"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Rows of several sheets follow each other; meta.sheet names theirs."
        ),
    )
    header_row = forms.IntegerField(
        label=gettext_lazy("Row with the names of the columns"),
        required=False,
        min_value=1,
        max_value=1_048_576,
        help_text=gettext_lazy("Rows above it are titles. Empty: it is found."),
    )
    max_document_chars = forms.IntegerField(
        label=gettext_lazy("Longest document, in characters"),
        required=False,
        min_value=100,
        max_value=10_000_000,
        help_text=gettext_lazy("Longer ones are cut at ends of paragraphs. Empty: none is cut."),
    )
    answers_from = forms.TypedChoiceField(
        label=gettext_lazy("Answers that are numbers"),
        choices=ANSWERS_FROM,
        required=False,
        coerce=int,
        empty_value=None,
    )
    accepts_mojibake = forms.BooleanField(
        label=gettext_lazy("Keep rows with garbled characters, as they are"),
        required=False,
        help_text=gettext_lazy(
            "For texts that are about them. Other rows that hold them were damaged before they "
            "came here."
        ),
    )
    remembers = forms.BooleanField(
        label=gettext_lazy("Read the next file with these columns in the same way"),
        required=False,
    )

    def __init__(
        self,
        *args: Any,
        preview: Preview,
        options: ReadingOptions,
        results: PreviewDatasetResults | None,
        **kwargs: Any,
    ) -> None:
        """`options` are in force in the preview; `results` are None where it found nothing."""
        kwargs["initial"] = {
            **{name: getattr(options, name) for name in ReadingOptions.model_fields},
            "sheets": [sheet.name for sheet in results.sheets if sheet.is_read] if results else [],
            "accepts_mojibake": MOJIBAKE in options.accept,
            "kind": preview.kind,
            "dataset_name": preview.dataset_name,
            "note": preview.note,
            "remembers": preview.remembers,
        }
        super().__init__(*args, **kwargs)
        self._options = options
        self.columns: Sequence[PreviewedColumn] = results.columns if results else ()
        for name in self._unasked(preview.kind, results):
            del self.fields[name]
        if results and "sheets" in self.fields:
            field = self.fields["sheets"]
            assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 (declared above)
            field.choices = [
                (s.name, s.name if s.is_visible else _("%(sheet)s (hidden)") % {"sheet": s.name})
                for s in results.sheets
            ]
        self._add_columns(preview.kind)

    @staticmethod
    def _unasked(kind: str, results: PreviewDatasetResults | None) -> list[str]:
        found = results.format if results else ""
        is_asked = {
            "encoding": found in TEXT_FORMATS,
            "delimiter": found == "csv",
            "sheets": results is not None and len(results.sheets) > 1,
            "header_row": found in TABLE_FORMATS,
            "max_document_chars": kind == DatasetKind.CORPUS,
            "answers_from": kind == DatasetKind.MULTIPLE_CHOICE,
            "remembers": results is not None and bool(results.columns),
        }
        return [name for name, asked in is_asked.items() if not asked]

    def _add_columns(self, kind: str) -> None:
        choices = [
            *field_choices(kind),
            (KEEP_AS_META, _("keep as additional information")),
            (IGNORE, _("leave out")),
        ]
        fields = {value for value, _label in choices}
        for number, column in enumerate(self.columns):
            self.fields[f"column_{number}"] = forms.ChoiceField(
                label=column.name or _("column %(number)d") % {"number": column.position or 0},
                choices=choices,
                initial=column.field if column.field in fields else KEEP_AS_META,
                required=False,
            )

    @property
    def column_rows(self) -> list[tuple[PreviewedColumn, forms.BoundField]]:
        """Each column of the file with the field that says what it means."""
        return [(column, self[f"column_{number}"]) for number, column in enumerate(self.columns)]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        changes: dict[str, object] = {
            name: cleaned[name]
            for name in _TAKEN_AS_THEY_ARE
            if name in self.fields and name in cleaned
        }
        changes["accept"] = (MOJIBAKE,) if cleaned.get("accepts_mojibake") else ()
        if "sheets" in self.fields and set(cleaned.get("sheets", ())) != set(
            self.initial["sheets"]
        ):
            changes["sheets"] = tuple(cleaned.get("sheets", ()))
        changes |= self._mapping(cleaned)
        if not self.errors:
            try:
                cleaned["options"] = ReadingOptions(
                    **{name: getattr(self._options, name) for name in ReadingOptions.model_fields}
                    | changes
                )
            except ValidationError as error:
                for path, message in validation_problems(error):
                    self.add_error(None, f"{path}: {message}")
        return cleaned

    def _mapping(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """What the columns mean where a person, here or before, said it."""
        num_columns = len(self.columns)
        at = {p: t for p, t in self._options.columns_at.items() if p <= num_columns}
        named = dict(self._options.columns)
        meanings: dict[str, str] = {}
        for number, (column, bound) in enumerate(self.column_rows):
            initial = bound.field.initial
            chosen = cleaned.get(f"column_{number}") or initial
            label = str(bound.label)
            if chosen not in {KEEP_AS_META, IGNORE} and chosen in meanings:
                self.add_error(
                    f"column_{number}",
                    _("%(column)s means the same already: choose another meaning for one of them.")
                    % {"column": meanings[chosen]},
                )
            meanings[chosen] = label
            if chosen == initial:
                continue
            target = _meta_name(column) if chosen == KEEP_AS_META else chosen
            if chosen == KEEP_AS_META and target in (*at.values(), *named.values()):
                target = f"{target}_{number + 1}"
            if column.position is not None:
                at[column.position] = target
            else:
                named[column.name] = target
        return {"columns": named, "columns_at": at}


def _meta_name(column: PreviewedColumn) -> str:
    name = column.name.strip().replace(".", "_")[:100]
    return f"meta.{name or f'column_{column.position}'}"
