"""Starting a comparison of two versions."""

import json

from django.db import transaction

from pipeline.contracts.documents import read_run_spec
from studio.accounts.models import User
from studio.datasets.models import DatasetVersion
from studio.revisions.models import Comparison
from studio.runs.input_lock import lock_inputs
from studio.runs.services import run_create


def comparison_start(*, older: DatasetVersion, newer: DatasetVersion, actor: User) -> Comparison:
    """A run finds what differs; the one that works or has ended well, where there is one.

    Raises:
        SpecError: one of the versions was deleted.
    """
    spec = {
        "kind": "compare_versions",
        "name": f"{older} / {newer}"[:200],
        "older": older.reference(),
        "newer": newer.reference(),
    }
    with transaction.atomic():
        lock_inputs(newer.project.pk)
        Comparison.objects.filter(older=older, newer=newer).delete()
        run = run_create(project=newer.project, actor=actor, spec=read_run_spec(json.dumps(spec)))
        return Comparison.objects.create(older=older, newer=newer, run=run)
