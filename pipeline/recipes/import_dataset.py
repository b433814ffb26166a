"""Read an uploaded file into an immutable data set version; starts without torch.

Results: `contracts.import_results.ImportDatasetResults`; every row that is not blank is counted.
Outputs: `dataset` (dataset/rows.parquet, beside it manifest.json) of a committed version, `errors`
(errors.parquet) when rows were rejected.
"""

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pipeline.contracts.dataset_manifest import (
    ColumnMeaning,
    DatasetManifest,
    SourceFile,
    StoredColumn,
)
from pipeline.contracts.import_results import (
    ImportDatasetResults,
    RowErrorExample,
    RowErrorGroup,
)
from pipeline.contracts.import_specs import ImportDatasetSpec
from pipeline.contracts.row_errors import RowError
from pipeline.data.datasets import dataset_digest
from pipeline.data.encodings import Encoding
from pipeline.data.original_rows import OriginalRow, OriginalRows, source_columns
from pipeline.data.readers import FileFormat, detect_encoding, detect_format, scan_rows
from pipeline.data.readers_parquet import ROW_SCHEMAS
from pipeline.data.records import Record
from pipeline.data.version_files import ErrorWriter, RowWriter, storable, storable_params
from pipeline.durable import partial_path, publish
from pipeline.errors import DataError, StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext

PROGRESS_ROWS = 5_000
NUM_FIRST_LINES = 5
_CHUNK_BYTES = 1 << 20


def run(spec: ImportDatasetSpec, context: RunContext) -> RecipeResult:
    """The version, if the policy allows one, and a report of what is wrong with the file.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch`: the upload itself is gone or changed.
            What is wrong inside the file is a result, not an error.
        StoppedAtCheckpoint: on request; nothing is kept.
    """
    path = Path(spec.source.resolved_path)
    sha256 = _check_upload(spec, path)
    detected = detect_format(path)
    file_format = None if isinstance(detected, RowError) else detected
    is_text = file_format in {"json_lines", "json_array", "csv"}
    encoding: Encoding = "utf-8"
    if is_text:
        encoding = detect_encoding(path) if spec.encoding == "auto" else spec.encoding
    source = _describe_source(spec, path, sha256, file_format, encoding if is_text else None)

    directory = context.run_dir / "dataset"
    partial = partial_path(directory)
    errors_path = context.run_dir / "errors.parquet"
    for leftover in (directory, partial):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    items = scan_rows(
        path,
        kind=spec.dataset_kind,
        encoding=encoding,
        mapping=spec.columns,
        sheet=spec.sheet,
    )
    originals = OriginalRows(path, file_format=file_format, encoding=encoding, sheet=spec.sheet)
    num_lines = _num_lines(path) if file_format in {"json_lines", "csv"} else 0
    with (
        RowWriter(partial / "rows.parquet", spec.dataset_kind) as rows,
        ErrorWriter(partial_path(errors_path)) as errors,
    ):
        errors_by_code = _copy_rows(items, originals, rows, errors, context, num_lines)

    is_committed = rows.num_rows > 0 and (errors.num_rows == 0 or spec.policy == "valid_rows")
    manifest = None
    outputs: dict[str, Path] = {}
    if is_committed:
        manifest = _write_manifest(spec, partial, source, rows, errors.num_rows)
        publish(partial, directory)
        outputs["dataset"] = directory / "rows.parquet"
    else:
        shutil.rmtree(partial)
    if errors.num_rows:
        publish(partial_path(errors_path), errors_path)
        outputs["errors"] = errors_path
    else:
        partial_path(errors_path).unlink()
    results = ImportDatasetResults(
        num_rows=rows.num_rows,
        num_rejected=errors.num_rows,
        is_committed=is_committed,
        has_file_error=any(group.is_about_file for group in errors_by_code),
        errors_by_code=errors_by_code,
        source=source,
        manifest=manifest,
    )
    return RecipeResult(results=results, outputs=outputs, inputs={"source": sha256})


def _check_upload(spec: ImportDatasetSpec, path: Path) -> str:
    """SHA-256 of the upload, which is the file that was described."""
    if not path.is_file():
        raise DataError(
            "data.not_found", f"the uploaded file {spec.file_name!r} is gone; upload it again"
        )
    sha256 = dataset_digest(path)
    if spec.source.digest not in (None, sha256):
        raise DataError(
            "data.digest_mismatch",
            f"the uploaded file {spec.file_name!r} has SHA-256 {sha256}, expected "
            f"{spec.source.digest}: it changed after the upload; upload it again",
        )
    return sha256


def _describe_source(
    spec: ImportDatasetSpec,
    path: Path,
    sha256: str,
    file_format: FileFormat | None,
    encoding: Encoding | None,
) -> SourceFile:
    columns = source_columns(
        path,
        file_format=file_format,
        encoding=encoding or "utf-8",
        sheet=spec.sheet,
        kind=spec.dataset_kind,
        mapping=spec.columns,
    )
    return SourceFile(
        name=spec.file_name,
        sha256=sha256,
        num_bytes=path.stat().st_size,
        format=file_format or "",
        encoding=encoding or "",
        columns=tuple(
            ColumnMeaning(name=storable(name), field=storable(field)) for name, field in columns
        ),
    )


def _copy_rows(
    items: Iterable[Record | RowError],
    originals: OriginalRows,
    rows: RowWriter,
    errors: ErrorWriter,
    context: RunContext,
    num_lines: int,
) -> tuple[RowErrorGroup, ...]:
    """Every item is written to one of the two files; the errors by code, most frequent first."""
    progress = context.progress("validate", total=num_lines, unit="rows") if num_lines else None
    num_by_code: Counter[str] = Counter()
    first_lines: dict[str, list[int]] = {}
    examples: dict[str, RowErrorExample] = {}
    file_codes: set[str] = set()
    for item in items:
        if isinstance(item, RowError):
            num_by_code[item.code] += 1
            if item.code not in examples:
                examples[item.code] = RowErrorExample(
                    params=storable_params(item), value_excerpt=storable(item.value_excerpt)
                )
            lines = first_lines.setdefault(item.code, [])
            original = OriginalRow()
            if item.is_about_file:
                file_codes.add(item.code)
            elif item.line is not None:
                original = originals.at(item.line)
            if item.line is not None and len(lines) < NUM_FIRST_LINES:
                lines.append(item.line)
            errors.append(item, original)
        else:
            rows.append(item)
        num_done = rows.num_rows + errors.num_rows
        if num_done % PROGRESS_ROWS == 0:
            if context.stop:
                raise StoppedAtCheckpoint("stopped on request while the file was read")
            context.log_metrics(None, rows=float(rows.num_rows), rejected=float(errors.num_rows))
            if progress is not None:
                progress.advance_to(num_done)
    num_done = rows.num_rows + errors.num_rows
    # Lines are an upper bound of rows; the last event says how many there were.
    context.progress("validate", total=num_done, unit="rows", done=num_done)
    return tuple(
        RowErrorGroup(
            code=code,
            count=count,
            first_lines=tuple(first_lines[code]),
            is_about_file=code in file_codes,
            example=examples[code],
        )
        for code, count in num_by_code.most_common()
    )


def _write_manifest(
    spec: ImportDatasetSpec,
    directory: Path,
    source: SourceFile,
    rows: RowWriter,
    num_rejected: int,
) -> DatasetManifest:
    schema = ROW_SCHEMAS[spec.dataset_kind]
    manifest = DatasetManifest(
        kind=spec.dataset_kind,
        source=source,
        num_rows=rows.num_rows,
        num_rejected=num_rejected,
        row_schema=tuple(StoredColumn(name=field.name, type=str(field.type)) for field in schema),
        rows_sha256=dataset_digest(directory / "rows.parquet"),
        counts=rows.counts(),
        lengths=rows.lengths(),
    )
    document = manifest.model_dump_json(indent=2) + "\n"
    (directory / "manifest.json").write_text(document, encoding="utf-8")
    return manifest


def _num_lines(path: Path) -> int:
    """How many lines the file has; what is not ended by LF at the end counts."""
    num_lines = 1
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            num_lines += chunk.count(b"\n")
    return num_lines
