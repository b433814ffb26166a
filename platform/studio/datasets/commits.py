"""A person makes the rows of a finished import a version, having seen its report."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from pipeline.contracts.reports import Output
from studio.accounts.models import User
from studio.datasets.models import DatasetKind, DatasetVersion, Import, Upload
from studio.datasets.publishers import make_version, manifest_of
from studio.runs.input_lock import lock_inputs
from studio.runs.paths import attempt_dir
from studio.runs.reports import run_report

TEST_KINDS = frozenset({DatasetKind.DOMAIN_TEST, DatasetKind.MULTIPLE_CHOICE})
"""Kinds whose figures change with the rows that are left out."""


def leaves_out_ask(kind: str, num_rejected: int) -> bool:
    """Whether a person must say that rows are left out before a version is made."""
    return kind in TEST_KINDS and num_rejected > 0


def import_commit(*, started: Import, actor: User, accepts_rejected: bool) -> DatasetVersion:
    """The next version of the data set; the one made before, when asked again.

    Args:
        started: an import whose run has succeeded.
        actor: who has seen its report; the version's author.
        accepts_rejected: they say that the rejected rows are left out.

    Raises:
        ValidationError: nothing can be kept, rows are left out and nobody said so, or the rows or
            the file are not there any more.
    """
    with transaction.atomic():
        lock_inputs(started.dataset.project_id)
        made = DatasetVersion.objects.filter(run=started.run_id).first()
        if made is not None:
            return made
        report = run_report(started.run)
        manifest = manifest_of(report) if report is not None else None
        if report is None or manifest is None:
            raise ValidationError(
                _("There is nothing to keep: the file was refused, or no row is right."),
                code="nothing_to_keep",
            )
        if leaves_out_ask(started.dataset.kind, manifest.num_rejected) and not accepts_rejected:
            raise ValidationError(
                _("Say first that the wrong rows are left out."), code="rejected_rows"
            )
        output = report.outputs["dataset"]
        _refuse_what_is_gone(started, output)
        return make_version(started.run, manifest, output, started_as=started, author=actor)


def _refuse_what_is_gone(started: Import, output: Output) -> None:
    upload = Upload.objects.get(pk=started.upload_id)
    rows = attempt_dir(started.run_id, started.run.attempt) / output.path
    if upload.discarded_at is not None or not rows.is_file():
        raise ValidationError(
            _("The uploaded file was discarded: upload it again."), code="discarded"
        )
