"""Find what differs between two versions of a data set; starts without torch.

Results: `contracts.version_comparison.CompareVersionsResults`. Output: `differences`
(differences.parquet, `data.version_differences.SCHEMA`).
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.version_comparison import CompareVersionsResults, CompareVersionsSpec
from pipeline.data.stored_rows import checked_version
from pipeline.data.version_differences import SCHEMA, VersionDifferences
from pipeline.durable import new_file
from pipeline.errors import StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext


def run(spec: CompareVersionsSpec, context: RunContext) -> RecipeResult:
    """Counts of the differences, and a file of them.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch`: a version is gone or changed.
        StoppedAtCheckpoint: on request; nothing is kept.
    """
    inputs = {"older": checked_version(spec.older), "newer": checked_version(spec.newer)}
    differences = VersionDifferences(Path(spec.older.resolved_path), Path(spec.newer.resolved_path))
    path = context.run_dir / "differences.parquet"
    with new_file(path) as partial, pq.ParquetWriter(partial, SCHEMA, compression="zstd") as file:
        for found in differences.found():
            if context.stop:
                raise StoppedAtCheckpoint("stopped on request while versions were compared")
            if found:
                file.write_table(pa.Table.from_pylist(found, schema=SCHEMA))
    results = CompareVersionsResults(
        num_same=differences.num_same,
        num_changed=differences.num_changed,
        num_added=differences.num_added,
        num_removed=differences.num_removed,
        changed_fields=dict(differences.changed_fields.most_common()),
    )
    return RecipeResult(results=results, outputs={"differences": path}, inputs=inputs)
