"""What a cleaning did: replaced places and rows left out, in words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pipeline.contracts.quality_checks import MaskDatasetResults
from studio.datasets.models import DatasetVersion
from studio.quality.models import Cleaning
from studio.quality.reasons import CHECK_LABELS, PERSONAL_LABELS
from studio.runs.reports import run_report

MAX_SHOWN = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownCleaning:
    """A cleaning, and its changes where it has ended."""

    cleaning: Cleaning
    changes: tuple[str, ...]


def shown_cleanings(version: DatasetVersion) -> list[ShownCleaning]:
    """The newest cleanings of the version."""
    found = version.cleanings.select_related("run__dataset_version__dataset", "created_by")
    return [_shown(cleaning) for cleaning in found.order_by("-pk")[:MAX_SHOWN]]


def cleaning_that_made(version: DatasetVersion) -> ShownCleaning | None:
    """How the version came to be, if it is a cleaned one."""
    made_by = Cleaning.objects.filter(run=version.run_id)
    found = made_by.select_related("run", "version__dataset", "created_by").first()
    return None if found is None else _shown(found)


def _shown(cleaning: Cleaning) -> ShownCleaning:
    report = run_report(cleaning.run)
    results = report.results if report is not None else None
    changes = _changes(results) if isinstance(results, MaskDatasetResults) else ()
    return ShownCleaning(cleaning=cleaning, changes=tuple(changes))


def _changes(results: MaskDatasetResults) -> Iterator[str]:
    masked: Iterable[tuple[str, int]] = (
        (str(PERSONAL_LABELS[kind]), count) for kind, count in results.num_masked.items()
    )
    for label, count in masked:
        yield _("%(label)s: %(count)d replaced") % {"label": label, "count": count}
    for check, count in results.num_dropped.items():
        values = {"label": str(CHECK_LABELS[check]), "count": count}
        yield _("%(label)s: %(count)d left out") % values
