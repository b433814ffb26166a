"""Make a version of another one: rows corrected, taken out and added; starts without torch.

Results: `contracts.dataset_revisions.ReviseDatasetResults`. Output: `dataset` (dataset/rows.parquet
with its manifest.json), unless a change cannot be made. Memory: one row group, 16 bytes for each
id of the base and of what is appended, and the changes.
"""

import shutil
from pathlib import Path

from pipeline.contracts.dataset_manifest import DatasetManifest, Revises
from pipeline.contracts.dataset_revisions import ReviseDatasetResults, ReviseDatasetSpec
from pipeline.data.revisions import Revision
from pipeline.data.stored_rows import checked_version
from pipeline.data.version_files import RowWriter
from pipeline.data.version_manifest import source_of_version, write_manifest
from pipeline.durable import partial_path, publish
from pipeline.errors import StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext

PROGRESS_ROWS = 5_000


def run(spec: ReviseDatasetSpec, context: RunContext) -> RecipeResult:
    """The new version, or what is wrong with the changes.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch`: a version is gone or changed;
            `data.row_invalid`: the base has a row that is none by the rules of today.
        StoppedAtCheckpoint: on request; nothing is kept.
    """
    inputs = {"base": checked_version(spec.base)}
    base, appended = Path(spec.base.resolved_path), None
    if spec.append is not None:
        inputs["append"] = checked_version(spec.append)
        appended = Path(spec.append.resolved_path)
    directory = context.run_dir / "dataset"
    partial = partial_path(directory)
    for leftover in (directory, partial):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    revision = Revision(spec, base, appended)
    with RowWriter(partial / "rows.parquet", spec.base.kind) as writer:
        progress = context.progress("revise", total=revision.num_rows, unit="rows")
        for number, record in enumerate(revision.rows(), start=1):
            writer.append(record)
            if number % PROGRESS_ROWS == 0:
                if context.stop:
                    raise StoppedAtCheckpoint("stopped on request while rows were copied")
                progress.advance_to(min(number, revision.num_rows))
    manifest: DatasetManifest | None = None
    outputs: dict[str, Path] = {}
    if not revision.num_problems and writer.num_rows:
        manifest = write_manifest(
            partial,
            spec.base.kind,
            spec.source or source_of_version(base, inputs["base"]),
            writer,
            num_rejected=0,
            revises=Revises(
                rows_sha256=inputs["base"],
                author=spec.author,
                reason=spec.reason,
                **revision.counts,
            ),
        )
        publish(partial, directory)
        outputs["dataset"] = directory / "rows.parquet"
    else:
        shutil.rmtree(partial)
    results = ReviseDatasetResults(
        **revision.counts,  # type: ignore[arg-type]  # its keys are the counts
        problems=tuple(revision.problems),
        num_problems=revision.num_problems,
        manifest=manifest,
    )
    return RecipeResult(results=results, outputs=outputs, inputs=inputs)
