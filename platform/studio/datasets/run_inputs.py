"""What a run may read of data sets."""

from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.contracts.references import UploadRef
from pipeline.errors import SpecError
from studio.accounts.models import Project
from studio.datasets.examples import example_path, example_stems
from studio.datasets.models import DatasetVersion, Upload
from studio.runs.inputs import NamedInput


def is_version(project: Project, named: NamedInput) -> bool:
    """The path is the rows of one of the project's versions.

    Raises:
        SpecError: `spec.input_deleted`, with the dotted location, in the reader's language.
    """
    prefix = f"{settings.STUDIO_DATA_DIR}/"
    if not named.path.startswith(prefix):
        return False
    version = (
        DatasetVersion.objects.filter(
            dataset__project=project, path=named.path.removeprefix(prefix)
        )
        .select_related("dataset", "deleted_by")
        .defer("manifest")
        .first()
    )
    if version is not None and version.deleted_by and version.deleted_at:
        raise SpecError(
            "spec.input_deleted",
            _(
                "%(location)s: version %(version)s was deleted by %(user)s on %(date)s; choose "
                "another version"
            )
            % {
                "location": named.location,
                "version": version,
                "user": version.deleted_by.username,
                "date": version.deleted_at.strftime("%Y-%m-%d"),
            },
        )
    return version is not None


def is_upload(project: Project, named: NamedInput) -> bool:
    """The path is a file that was sent to the project, and an import is to read it.

    Raises:
        SpecError: `spec.input_deleted`, with the dotted location, in the reader's language.
    """
    if named.takes != UploadRef.takes:
        return False
    try:
        upload_id = UUID(Path(named.path).stem)
    except ValueError:
        return False
    upload = Upload.objects.filter(pk=upload_id, project=project).first()
    if upload is None or str(upload.path) != named.path:
        return False
    if upload.discarded_at is not None:
        raise SpecError(
            "spec.input_deleted",
            _("%(location)s: the uploaded file is not there any more; upload it again")
            % {"location": named.location},
        )
    return True


def is_example(project: Project, named: NamedInput) -> bool:
    """The path is a file of the demonstration, which every project may read."""
    return named.path in {str(example_path(stem, lang)) for stem, lang in example_stems()}
