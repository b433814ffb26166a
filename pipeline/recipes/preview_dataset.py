"""Look at an uploaded file before it is imported; starts without torch.

Results: `contracts.preview_dataset.PreviewDatasetResults`; no outputs. Every choice and row comes
from the functions that an import calls, so the two cannot differ.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from pipeline.contracts.preview_dataset import (
    PreviewDatasetResults,
    PreviewDatasetSpec,
    shape_of,
)
from pipeline.contracts.row_errors import RowError
from pipeline.data.file_sets import open_file_set
from pipeline.data.formats import detect_format
from pipeline.data.import_sources import SourceData, member_data, source_data
from pipeline.data.preview_columns import previewed_columns
from pipeline.data.preview_reasons import found_out
from pipeline.data.preview_rows import Sample, previewed_error
from pipeline.data.reading import Reading
from pipeline.data.seen_ids import SeenIds
from pipeline.data.upload_files import check_upload
from pipeline.data.version_files import storable
from pipeline.execution import RecipeResult, RunContext

MAX_MEMBERS = 20
"""Names of members shown."""


def run(spec: PreviewDatasetSpec, context: RunContext) -> RecipeResult:
    """How the file would be read, and its first rows.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch`: the upload itself is gone or changed.
            What is wrong inside the file is a result, not an error.
        StoppedAtCheckpoint: on request.
    """
    sha256 = check_upload(spec.source, spec.file_name)
    path = Path(spec.source.resolved_path)
    with context.stop.raising("stopped on request while the file was looked at"):
        results = _look(spec, path, context.run_dir)
    return RecipeResult(results=results, outputs={}, inputs={"source": sha256})


def _look(spec: PreviewDatasetSpec, path: Path, scratch: Path) -> PreviewDatasetResults:
    reading = Reading.of(spec, spec.dataset_kind)
    if path.is_dir() or detect_format(path) == "zip":
        return _look_at_set(spec, path, reading, scratch)
    data = source_data(path, name=spec.file_name, reading=reading)
    columns = previewed_columns(data)
    shape = shape_of(column.name for column in columns)
    saved = next((one for one in spec.saved_mappings if one.shape == shape), None)
    is_saved = saved is not None and not reading.is_mapped and not _benchmark_of(data)
    if saved is not None and is_saved:
        reading = replace(reading, columns=saved.columns, columns_at=saved.columns_at)
        data = source_data(path, name=spec.file_name, reading=reading)
        columns = previewed_columns(data)
    sample = Sample(spec.dataset_kind, spec.num_rows)
    sample.take(data, SeenIds())
    return PreviewDatasetResults(
        **found_out(data),
        format=data.file_format or "",
        benchmark=_benchmark_of(data),
        columns=columns,
        columns_at=dict(reading.columns_at),
        columns_named=dict(reading.columns),
        shape=shape,
        is_saved_mapping=is_saved,
        rows=sample.rows,
        errors=sample.errors,
    )


def _look_at_set(
    spec: PreviewDatasetSpec, path: Path, reading: Reading, scratch: Path
) -> PreviewDatasetResults:
    found = PreviewDatasetResults(format="folder" if path.is_dir() else "zip")
    file_set = open_file_set(path, spec.dataset_kind, spec.file_name)
    if isinstance(file_set, RowError):
        return found.model_copy(update={"errors": (previewed_error(file_set),)})
    sample = Sample(spec.dataset_kind, spec.num_rows)
    taken = SeenIds()
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        for _member, data in member_data(file_set, Path(directory), reading):
            if isinstance(data, RowError):
                sample.add(data)
            else:
                sample.take(data, taken)
            if sample.is_full:
                break
    names = [storable(member.name) for member in file_set.members]
    return found.model_copy(
        update={
            "rows": sample.rows,
            "errors": sample.errors,
            "members": tuple(names[:MAX_MEMBERS]),
            "num_members": len(names),
            "not_read": tuple(storable(name) for name in file_set.not_read[:MAX_MEMBERS]),
        }
    )


def _benchmark_of(data: SourceData) -> str:
    return "" if data.recognised is None else data.recognised.benchmark
