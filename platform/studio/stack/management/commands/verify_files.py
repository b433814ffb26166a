"""Compare what is on disk with the digests that the database has: after a restore, or in doubt."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from studio.datasets.models import DatasetVersion, Upload
from studio.registry.models import Checkpoint

NUM_PATHS = 50
"""Paths of one child; a command line has room for more."""


class Command(BaseCommand):
    help = "Hash uploads, data set versions and checkpoints; fails where one differs or is missing."

    def handle(self, *_args: object, **_options: object) -> None:
        named = list(_named_files())
        wrong = 0
        for start in range(0, len(named), NUM_PATHS):
            batch = named[start : start + NUM_PATHS]
            found = _digests([path for _, path, _ in batch if path.exists()])
            for what, path, digest in batch:
                if found.get(path) != digest:
                    wrong += 1
                    problem = "has another SHA-256" if path in found else "is missing"
                    self.stderr.write(f"{what}: {path} {problem}")
        if wrong:
            raise CommandError(f"{wrong} of {len(named)} files are not what the database names")
        self.stdout.write(f"{len(named)} files are what the database names")


def _named_files() -> Iterator[tuple[str, Path, str]]:
    """(words, path, digest) of everything stored whose digest is known."""
    for upload in Upload.objects.filter(discarded_at=None).order_by("created_at"):
        yield f"upload {upload}", upload.path, upload.sha256
    versions = DatasetVersion.objects.filter(deleted_at=None).select_related("dataset")
    for version in versions.order_by("pk"):
        yield f"data set {version}", version.rows_path, version.digest
    checkpoints = Checkpoint.objects.filter(deleted_at=None).exclude(digest="").defer("facts")
    for checkpoint in checkpoints.order_by("pk"):
        yield f"checkpoint {checkpoint}", checkpoint.model_path, checkpoint.digest


def _digests(paths: list[Path]) -> dict[Path, str]:
    """By path; the pipeline says what a model's digest is."""
    if not paths:
        return {}
    command: list[Any] = [*settings.STUDIO_PIPELINE_COMMAND, "digest", *paths]
    result = subprocess.run(  # noqa: S603 (our own program, no shell)
        command,
        cwd=settings.ROOT,
        env=os.environ | {"PYTHONPATH": str(settings.ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise CommandError(result.stderr)
    lines = (line.split("  ", 1) for line in result.stdout.splitlines())
    return {Path(path): digest for digest, path in lines}
