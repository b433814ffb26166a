"""What a run may read of data sets."""

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.errors import SpecError
from studio.accounts.models import Project
from studio.datasets.models import DatasetVersion, Upload, uploads_dir
from studio.runs.inputs import spec_paths


def refuse_missing_data(project: Project, spec: Mapping[str, object]) -> None:
    """No version or upload that the spec names was deleted or belongs to another project.

    Raises:
        SpecError: `spec.input_deleted` or `spec.path_not_allowed`, with the dotted location, in the
            reader's language.
    """
    locations = {
        Path(path).relative_to(settings.STUDIO_DATA_DIR).as_posix(): location
        for location, path in spec_paths(spec)
        if Path(path).is_relative_to(settings.STUDIO_DATA_DIR)
    }
    deleted = (
        DatasetVersion.objects.filter(path__in=locations)
        .exclude(deleted_at=None)
        .select_related("dataset", "deleted_by")
        .first()
    )
    if deleted is not None and deleted.deleted_by and deleted.deleted_at:
        raise SpecError(
            "spec.input_deleted",
            _(
                "%(location)s: version %(version)s was deleted by %(user)s on %(date)s; choose "
                "another version"
            )
            % {
                "location": locations[deleted.path],
                "version": deleted,
                "user": deleted.deleted_by.username,
                "date": deleted.deleted_at.strftime("%Y-%m-%d"),
            },
        )
    for location, path in spec_paths(spec):
        if Path(path).is_relative_to(uploads_dir()) and not _is_kept(project, Path(path)):
            raise SpecError(
                "spec.input_deleted",
                _("%(location)s: the uploaded file is not there any more; upload it again")
                % {"location": location},
            )


def _is_kept(project: Project, path: Path) -> bool:
    try:
        upload_id = UUID(path.stem)
    except ValueError:
        return False
    kept = Upload.objects.filter(pk=upload_id, project=project, discarded_at=None).first()
    return kept is not None and kept.path == path
