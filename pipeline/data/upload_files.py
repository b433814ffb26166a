"""The file that somebody sent, as the runs that read it find it."""

import hashlib
from pathlib import Path

from pipeline.contracts.references import UploadRef
from pipeline.data.datasets import dataset_digest
from pipeline.errors import DataError


def check_upload(source: UploadRef, file_name: str) -> str:
    """SHA-256 of the upload, which is the file that was described.

    Args:
        source: where it is, and its digest where that is known.
        file_name: what a person calls it, for the errors.

    Raises:
        DataError: `data.not_found` or `data.digest_mismatch`: it is gone or changed.
    """
    path = Path(source.resolved_path)
    if path.is_dir():
        return _folder_digest(path)
    if not path.is_file():
        raise DataError(
            "data.not_found", f"the uploaded file {file_name!r} is gone; upload it again"
        )
    sha256 = dataset_digest(path)
    if source.digest not in (None, sha256):
        raise DataError(
            "data.digest_mismatch",
            f"the uploaded file {file_name!r} has SHA-256 {sha256}, expected {source.digest}: it "
            "changed after the upload; upload it again",
        )
    return sha256


def _folder_digest(path: Path) -> str:
    """SHA-256 over name and SHA-256 of each file of a folder, in the order of the names."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.is_symlink():
            line = f"{dataset_digest(file)}  {file.relative_to(path).as_posix()}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
