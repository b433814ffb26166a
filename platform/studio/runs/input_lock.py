"""Who starts a run and who removes what runs read take turns."""

from django.db import transaction

from studio.accounts.models import Project


def lock_inputs(project_id: int) -> None:
    """Until the caller's transaction ends, nobody else starts or removes in the project.

    Called first in every transaction that starts a run or removes something that a run may read,
    before anything is looked at: what was checked then still holds when it is acted upon. SQLite
    has one writer at a time and needs no more than the transaction; PostgreSQL locks the project's
    row, in a way that leaves other rows free to name it.
    """
    if transaction.get_autocommit():
        raise RuntimeError("lock_inputs outside a transaction would lock nothing")
    Project.objects.select_for_update(no_key=True).only("pk").get(pk=project_id)
