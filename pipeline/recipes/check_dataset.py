"""Look through a data set version for what should not be trained on; starts without torch.

Results: `contracts.quality_checks.CheckDatasetResults`. Output: `flags` (flags.parquet), a reason
for each flagged row (`docs/data_quality.md`).
"""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.contracts.quality_checks import CheckDatasetSpec
from pipeline.contracts.references import BenchmarkRef
from pipeline.data.datasets import read_rows
from pipeline.data.quality.flags import FlagWriter
from pipeline.data.quality.test_overlap import ItemIndex
from pipeline.data.quality.version_check import check_version
from pipeline.data.records import DomainItem, MultipleChoiceItem, Record
from pipeline.data.stored_rows import checked_version, stored_rows
from pipeline.durable import new_file
from pipeline.errors import StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext

PROGRESS_ROWS = 1_000


def run(spec: CheckDatasetSpec, context: RunContext) -> RecipeResult:
    """Every row was looked at and the flags are written.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch` for the version or a test set; as
            `read_rows` for a test set.
        StoppedAtCheckpoint: on request; nothing is kept.
    """
    digests = {"dataset": checked_version(spec.dataset)}
    test_sets = []
    for number, ref in enumerate(spec.test_sets):
        digest = digests[f"test_sets.{number}"] = checked_version(ref)
        test_sets.append(ItemIndex(number, digest, _items(ref)))
    passes = itertools.count(1)
    path = context.run_dir / "flags.parquet"
    with new_file(path) as partial, tempfile.TemporaryDirectory(dir=context.run_dir) as scratch:
        with FlagWriter(partial) as flags:
            results = check_version(
                lambda: _watched(spec, context, f"pass_{next(passes)}"),
                flags=flags,
                test_sets=test_sets,
                similarity=spec.near_duplicate_similarity,
                scratch=Path(scratch),
            )
    return RecipeResult(results=results, outputs={"flags": path}, inputs=digests)


def _items(ref: BenchmarkRef) -> list[DomainItem | MultipleChoiceItem]:
    return read_rows(ref, (DomainItem, MultipleChoiceItem), to_be_scored=True)


def _watched(
    spec: CheckDatasetSpec, context: RunContext, stage: str
) -> Iterator[tuple[int, Record]]:
    """One pass over the rows, which can be stopped; how many there are is known afterwards."""
    num_done = 0
    for index, record in enumerate(stored_rows(spec.dataset)):
        yield index, record
        num_done = index + 1
        if num_done % PROGRESS_ROWS == 0:
            if context.stop:
                raise StoppedAtCheckpoint("stopped on request while the rows were checked")
            context.log_metrics(None, rows=float(num_done))
    context.progress(stage, total=max(num_done, 1), unit="rows", done=num_done)
