"""The demonstration's data, brought in as a person does: uploaded, read by a run, published."""

from pathlib import Path

from django.core.files.uploadedfile import TemporaryUploadedFile

from studio.accounts.models import Project, User
from studio.datasets.examples import EXAMPLE_KINDS, example_path
from studio.datasets.models import Import, ImportPolicy
from studio.datasets.services import file_sha256, import_start, known_version, upload_create
from studio.runs.models import Run


def start_missing_imports(*, project: Project, actor: User, lang: str) -> list[Run]:
    """Runs that still read files of the demonstration; a file that has a version needs none."""
    runs = []
    for stem, kind in EXAMPLE_KINDS.items():
        path = example_path(stem, lang)
        with _as_sent(path) as file:
            sha256 = file_sha256(file)
            if known_version(project=project, sha256=sha256, kind=kind) is not None:
                continue
            reading = Import.objects.filter(
                upload__project=project,
                upload__sha256=sha256,
                run__in=Run.objects.filter(project=project).unfinished(),
            ).first()
            started = reading or import_start(
                upload=upload_create(project=project, actor=actor, file=file, sha256=sha256),
                actor=actor,
                dataset_name=f"{stem}.{lang}",
                kind=kind,
                policy=ImportPolicy.ALL_OR_NOTHING,
                note="examples/soae_demo",
            )
        runs.append(started.run)
    return runs


def _as_sent(path: Path) -> TemporaryUploadedFile:
    """The file as the web server hands over what a browser sent."""
    content = path.read_bytes()
    file = TemporaryUploadedFile(path.name, "application/x-ndjson", len(content), "utf-8")
    file.write(content)
    file.seek(0)
    return file
