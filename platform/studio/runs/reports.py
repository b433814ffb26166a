"""What a run found, as an object instead of the JSON that the database holds, and where it went."""

import logging
from collections.abc import Callable, Mapping

from django.conf import settings
from django.utils.module_loading import import_string

from pipeline.contracts.reports import Report, stored_report
from pipeline.errors import SpecError
from studio.runs.models import Run

logger = logging.getLogger(__name__)

OutputPages = Callable[[Run, Report], Mapping[str, str]]


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


def output_pages(run: Run, report: Report) -> dict[str, str]:
    """Name of an output -> address of what was published from it.

    The apps that publish know: `settings.STUDIO_OUTPUT_PAGES`.
    """
    pages: dict[str, str] = {}
    for dotted in settings.STUDIO_OUTPUT_PAGES:
        of_app: OutputPages = import_string(dotted)
        pages |= of_app(run, report)
    return pages
