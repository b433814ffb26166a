"""Forms of a version's quality: what to compare it with, what to clean, which tokens to see."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from pipeline.contracts.token_preview import MAX_PREVIEW_ROWS
from studio.accounts.models import Project
from studio.datasets.models import DatasetKind, DatasetVersion
from studio.datasets.querysets import DatasetVersionQuerySet
from studio.pages.forms import CheckedTextMixin
from studio.quality.reasons import CHECK_LABELS, PERSONAL_LABELS
from studio.registry.models import Checkpoint

TEST_KINDS = (DatasetKind.DOMAIN_TEST, DatasetKind.MULTIPLE_CHOICE)


class CheckForm(CheckedTextMixin, forms.Form):
    """Which test versions the data are compared with."""

    tests = forms.ModelMultipleChoiceField(
        label=_("Compare with these tests"),
        queryset=DatasetVersion.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("Text of a test that stands in the training data makes its result worthless."),
    )

    def __init__(self, *args: Any, version: DatasetVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["tests"]
        assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101 (declared above)
        field.queryset = comparable_tests(version)


class CleanForm(CheckedTextMixin, forms.Form):
    """What a cleaned version leaves out."""

    personal = forms.MultipleChoiceField(
        label=_("Replace by a placeholder"),
        choices=list(PERSONAL_LABELS.items()),
        initial=["identity_number", "mobile_phone", "bank_card"],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    style = forms.ChoiceField(
        label=_("Placeholder"),
        choices=(
            ("name", _("Its name: [身份证号]")),
            ("number", _("Its name and a number, the same for equal values: [身份证号1]")),
            ("partial", _("The value with asterisks: 110*************2X")),
        ),
        initial="name",
        widget=forms.RadioSelect,
    )
    drop = forms.MultipleChoiceField(
        label=_("Leave rows out"),
        choices=[
            (code, CHECK_LABELS[code])
            for code in ("duplicate.exact", "duplicate.near", "overlap.test_set")
        ],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("Rows that the newest check flags so; of duplicates the first stays."),
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=200,
        required=False,
        help_text=_("Why; shown with the new version."),
    )


class PreviewForm(CheckedTextMixin, forms.Form):
    """Whose tokenizer, which rows, and where training would cut."""

    checkpoint = forms.ModelChoiceField(
        label=_("Model"),
        queryset=Checkpoint.objects.none(),
        help_text=_("Its tokenizer and chat template are used; no weights are loaded."),
    )
    first_row = forms.IntegerField(label=_("First row"), min_value=1, initial=1)
    num_rows = forms.IntegerField(
        label=_("Number of rows"), min_value=1, max_value=MAX_PREVIEW_ROWS, initial=10
    )
    max_seq_length = forms.IntegerField(
        label=_("Longest row, in tokens"),
        min_value=8,
        max_value=1_000_000,
        initial=2048,
        help_text=_("As batch.max_seq_length of the training: longer rows are cut there."),
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["checkpoint"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 (declared above)
        checkpoints = Checkpoint.objects.live().filter(project=project).defer("facts")
        field.queryset = checkpoints.order_by("-pk")


def comparable_tests(version: DatasetVersion) -> DatasetVersionQuerySet:
    """Test versions of the project that the version can be compared with, newest first."""
    return (
        DatasetVersion.objects.live()
        .filter(dataset__project=version.project, dataset__kind__in=TEST_KINDS)
        .exclude(dataset=version.dataset)
        .exclude(digest=version.digest)
        .select_related("dataset")
        .defer("manifest")
        .order_by("-pk")
    )
