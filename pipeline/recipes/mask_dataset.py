"""Make a version without personal data and without flagged rows; starts without torch.

Results: `contracts.quality_checks.MaskDatasetResults`. Outputs: `dataset` (dataset/rows.parquet,
beside it manifest.json), `dropped` (dropped.parquet, the flags of the rows that were left out).
Where nothing is to be changed, or nothing would be left, there is no version.
"""

import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.contracts.dataset_manifest import Revises
from pipeline.contracts.quality_checks import DroppedCheck, MaskDatasetResults, MaskDatasetSpec
from pipeline.data.datasets import dataset_digest
from pipeline.data.quality.flags import Flag, FlagWriter
from pipeline.data.quality.masking import Masker
from pipeline.data.records import Record
from pipeline.data.stored_rows import checked_version, stored_rows
from pipeline.data.version_files import RowWriter
from pipeline.data.version_manifest import source_of_version, write_manifest
from pipeline.durable import new_file, partial_path, publish
from pipeline.errors import DataError, StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext

PROGRESS_ROWS = 1_000


def run(spec: MaskDatasetSpec, context: RunContext) -> RecipeResult:
    """The rows that stay are the new version, in their order.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch` for the version or the flags, which
            must be flags of this version.
        StoppedAtCheckpoint: on request; nothing is kept.
    """
    digests = {"dataset": checked_version(spec.dataset)}
    to_drop: dict[int, Flag] = {}
    path = Path(spec.dataset.resolved_path)
    if spec.flags is not None:
        flags_path = Path(spec.flags.resolved_path)
        digests["flags"] = dataset_digest(flags_path)
        to_drop = _flags_to_drop(flags_path, spec.drop)
    directory, dropped_path = context.run_dir / "dataset", context.run_dir / "dropped.parquet"
    partial = partial_path(directory)
    for leftover in (directory, partial):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    masker = Masker(spec.personal, spec.style)
    num_dropped: Counter[DroppedCheck] = Counter()
    num_masked_rows = 0
    with (
        new_file(dropped_path) as dropped_partial,
        FlagWriter(dropped_partial) as dropped,
        RowWriter(partial / "rows.parquet", spec.dataset.kind) as rows,
    ):
        for index, record in enumerate(stored_rows(spec.dataset)):
            if index % PROGRESS_ROWS == 0:
                _report(context, index)
            if flag := to_drop.get(index):
                _require_same_row(flag, record)
                dropped.append(flag)
                num_dropped[flag.check] += 1  # type: ignore[index]  # a dropped check
                continue
            masked = masker.masked(record)
            num_masked_rows += masked is not record
            rows.append(masked)
    manifest = None
    outputs = {"dropped": dropped_path}
    if rows.num_rows and (num_masked_rows or num_dropped):
        manifest = write_manifest(
            partial,
            spec.dataset.kind,
            spec.source or source_of_version(path, digests["dataset"]),
            rows,
            num_rejected=spec.num_rejected,
            revises=Revises(
                rows_sha256=digests["dataset"],
                author=spec.author,
                reason=spec.reason,
                num_kept=rows.num_rows - num_masked_rows,
                num_changed=num_masked_rows,
                num_deleted=num_dropped.total(),
                num_replaced=0,
                num_added=0,
                num_skipped=0,
            ),
        )
        publish(partial, directory)
        outputs["dataset"] = directory / "rows.parquet"
    else:
        shutil.rmtree(partial)
    return RecipeResult(
        results=MaskDatasetResults(
            num_rows=rows.num_rows,
            num_masked_rows=num_masked_rows,
            num_masked=dict(masker.num_masked),
            num_dropped=dict(num_dropped),
            manifest=manifest,
        ),
        outputs=outputs,
        inputs=digests,
    )


def _report(context: RunContext, num_done: int) -> None:
    if context.stop:
        raise StoppedAtCheckpoint("stopped on request while the rows were copied")
    context.log_metrics(None, rows=float(num_done))


def _flags_to_drop(path: Path, checks: tuple[DroppedCheck, ...]) -> dict[int, Flag]:
    """Row -> its first flag among the checks."""
    found: dict[int, Flag] = {}
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                if row["check"] in checks and row["row"] not in found:
                    params = json.loads(row["params"])
                    found[row["row"]] = Flag(**{**row, "params": params})
    return found


def _require_same_row(flag: Flag, record: Record) -> None:
    if flag.id != record.id:
        raise DataError(
            "data.digest_mismatch",
            f"the flags are of another version: row {flag.row} is {record.id!r} here and "
            f"{flag.id!r} there; check this version first",
        )
