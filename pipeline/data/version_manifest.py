"""The manifest of a version, written beside its rows."""

from pathlib import Path

from pipeline.contracts.dataset_manifest import DatasetManifest, Revises, SourceFile, StoredColumn
from pipeline.contracts.references import DatasetKind
from pipeline.data.datasets import dataset_digest
from pipeline.data.row_schemas import ROW_SCHEMAS
from pipeline.data.version_files import RowWriter


def write_manifest(
    directory: Path,
    kind: DatasetKind,
    source: SourceFile,
    rows: RowWriter,
    *,
    num_rejected: int,
    revises: Revises | None = None,
) -> DatasetManifest:
    """`manifest.json` says what `rows.parquet` in the directory is.

    Args:
        directory: Holds the rows.
        kind: Of the rows.
        source: What they were read from.
        rows: The writer that wrote them, closed.
        num_rejected: Rows of the source that are not among them because they are wrong.
        revises: Which version it was made of.
    """
    manifest = DatasetManifest(
        kind=kind,
        source=source,
        num_rows=rows.num_rows,
        num_rejected=num_rejected,
        row_schema=tuple(
            StoredColumn(name=field.name, type=str(field.type)) for field in ROW_SCHEMAS[kind]
        ),
        rows_sha256=dataset_digest(directory / "rows.parquet"),
        counts=rows.counts(),
        lengths=rows.lengths(),
        revises=revises,
    )
    document = manifest.model_dump_json(indent=2) + "\n"
    (directory / "manifest.json").write_text(document, encoding="utf-8")
    return manifest


def source_of_version(path: Path, sha256: str) -> SourceFile:
    """What the version whose rows are at `path` was read from; the rows themselves if unknown."""
    manifest = path.parent / "manifest.json"
    if manifest.is_file():
        return DatasetManifest.parse(manifest.read_bytes()).source
    return SourceFile(
        name=path.name,
        sha256=sha256,
        num_bytes=path.stat().st_size,
        format="parquet",
        encoding="",
        columns=(),
    )
