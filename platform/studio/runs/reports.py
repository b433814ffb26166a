"""What a run found, as an object instead of the JSON that the database holds."""

import logging

from pipeline.contracts.reports import Report, stored_report
from pipeline.errors import SpecError
from studio.runs.models import Run

logger = logging.getLogger(__name__)


def run_report(run: Run) -> Report | None:
    """The run's report, of this or an earlier version.

    None when the run has none, or one that nobody can read: it is damaged, or a newer version of
    this code wrote it. Pages then say that figures are absent; the reason is logged.
    """
    if run.report is None:
        return None
    try:
        return stored_report(run.report)
    except SpecError as exc:
        logger.warning("the report of run %s cannot be read: %s", run.pk, exc)
        return None
