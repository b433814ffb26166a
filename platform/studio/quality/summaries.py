"""What is known of a version's quality: from the newest check that ended, and whether one works.

`quality_summary` is the service that pages and launch forms call; it reads the database only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.contracts.quality_checks import CheckCode, CheckDatasetResults, OverlapWithTestSet
from pipeline.contracts.reports import Report
from studio.datasets.models import DatasetVersion
from studio.quality.models import QualityCheck
from studio.quality.reasons import CHECK_LABELS
from studio.runs.paths import attempt_dir
from studio.runs.reports import run_report
from studio.runs.states import TERMINAL_STATES, RunState


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownCheck:
    """Rows that one check flags."""

    code: CheckCode
    label: str
    num_rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownTest:
    """How much of a test version stands in the data."""

    version: DatasetVersion
    overlap: OverlapWithTestSet


@dataclass(frozen=True, kw_only=True, slots=True)
class QualitySummary:
    """What is known of a version."""

    newest: QualityCheck | None
    """The check that was started last, whatever became of it."""
    check: QualityCheck | None
    """The newest that succeeded; the figures are its."""
    results: CheckDatasetResults | None
    checks: tuple[ShownCheck, ...] = ()
    tests: tuple[ShownTest, ...] = ()
    """Those the check looked at."""
    unchecked_tests: tuple[DatasetVersion, ...] = ()
    """Those of the asked test versions that it did not."""

    @property
    def is_working(self) -> bool:
        """A check was started and has not ended."""
        return self.newest is not None and self.newest.run.state not in TERMINAL_STATES

    @property
    def has_failed(self) -> bool:
        """The check that was started last found nothing because it ended badly."""
        return (
            self.newest is not None
            and self.newest != self.check
            and self.newest.run.state in TERMINAL_STATES
        )

    @property
    def blocking_tests(self) -> tuple[ShownTest, ...]:
        """A model trained on the version must not be judged by these."""
        return tuple(test for test in self.tests if test.overlap.is_blocking)

    @property
    def touched_tests(self) -> tuple[ShownTest, ...]:
        """Some of their text stands in the data: to be told before anybody trains on them."""
        return tuple(test for test in self.tests if test.overlap.num_hit_items)


def quality_summary(
    version: DatasetVersion, test_versions: Sequence[DatasetVersion] = ()
) -> QualitySummary:
    """What is known of the version, and which of the test versions it was not compared with."""
    checks = list(
        QualityCheck.objects.filter(version=version).select_related("run").order_by("-pk")[:20]
    )
    newest = checks[0] if checks else None
    for check in checks:
        if check.run.state != RunState.SUCCEEDED:
            continue
        results = check_results(check)
        if results is None:
            continue
        tests = _shown_tests(check, results)
        known = {test.version.digest for test in tests}
        return QualitySummary(
            newest=newest,
            check=check,
            results=results,
            checks=tuple(
                ShownCheck(
                    code=count.check,
                    label=str(CHECK_LABELS[count.check]),
                    num_rows=count.num_rows,
                )
                for count in results.checks
            ),
            tests=tests,
            unchecked_tests=tuple(test for test in test_versions if test.digest not in known),
        )
    return QualitySummary(
        newest=newest, check=None, results=None, unchecked_tests=tuple(test_versions)
    )


def check_results(check: QualityCheck) -> CheckDatasetResults | None:
    """What the check found; None without a report that can be read."""
    report = run_report(check.run)
    if report is None or not isinstance(report.results, CheckDatasetResults):
        return None
    return report.results


def flags_path(check: QualityCheck) -> Path:
    """The flags of a check that succeeded."""
    return output_path(check, run_report(check.run), "flags")


def output_path(check: QualityCheck, report: Report | None, name: str) -> Path:
    """Where an output of the check's run is.

    Raises:
        FileNotFoundError: the run has no such output.
    """
    if report is None or name not in report.outputs:
        raise FileNotFoundError(f"the run {check.run_id} has no output {name}")
    return attempt_dir(check.run_id, check.run.attempt) / report.outputs[name].path


def _shown_tests(check: QualityCheck, results: CheckDatasetResults) -> tuple[ShownTest, ...]:
    """By digest; versions with the same rows each have their own line."""
    by_digest: dict[str, list[DatasetVersion]] = {}
    for test in check.test_versions.select_related("dataset").defer("manifest").order_by("pk"):
        by_digest.setdefault(test.digest, []).append(test)
    return tuple(
        ShownTest(version=by_digest[overlap.digest].pop(0), overlap=overlap)
        for overlap in results.test_sets
        if by_digest.get(overlap.digest)
    )
