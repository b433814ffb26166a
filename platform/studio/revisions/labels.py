"""Putting tags and remarks on versions. Each call is one transaction with its audit event."""

from django.db import transaction

from studio.accounts.audit import audit_record
from studio.accounts.models import User
from studio.datasets.models import DatasetVersion
from studio.revisions.models import VersionRemark, VersionTag


def tag_add(*, version: DatasetVersion, actor: User, name: str) -> None:
    """The version has the tag; one that it has already stays as it is."""
    with transaction.atomic():
        tag, is_new = VersionTag.objects.get_or_create(
            version=version, name=name.strip(), defaults={"created_by": actor}
        )
        if is_new:
            audit_record(
                actor=actor, action="dataset.tag", target=tag, details={"version": str(version)}
            )


def tag_remove(*, version: DatasetVersion, actor: User, tag_id: int) -> None:
    """The version does not have the tag any more."""
    with transaction.atomic():
        tag = VersionTag.objects.filter(version=version, pk=tag_id).first()
        if tag is not None:
            audit_record(
                actor=actor, action="dataset.untag", target=tag, details={"version": str(version)}
            )
            tag.delete()


def remark_add(*, version: DatasetVersion, actor: User, text: str) -> None:
    """The remark stands under the version."""
    with transaction.atomic():
        remark = VersionRemark.objects.create(version=version, text=text, created_by=actor)
        audit_record(
            actor=actor, action="dataset.remark", target=remark, details={"version": str(version)}
        )
