"""The whole method as a plan, made by the pipeline's own program.

The web process must not import the pipeline's demonstration, so it asks a child process.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.contracts.documents import SpecDocument, read_plan_spec
from pipeline.contracts.specs import PlanSpec
from pipeline.errors import SpecError
from studio.accounts.models import Project
from studio.datasets.models import DatasetVersion

TIMEOUT_SECONDS = 60.0


def method_plan(
    project: Project, *, base_path: str, lang: str, budget: str = "demonstration"
) -> SpecDocument[PlanSpec]:
    """The plan; where the project has a version of a data file, the plan reads that.

    A version stands for a file of the demonstration when it was made from exactly that file.

    Raises:
        SpecError: the child could not make a plan; its own words are in the message.
    """
    command = [sys.executable, "-m", "pipeline.demo", "plan"]
    command += ["--base", base_path, "--lang", lang, "--budget", budget]
    try:
        child = subprocess.run(  # noqa: S603 (fixed program; the path is one of our choices)
            command,
            cwd=settings.ROOT,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise SpecError(
            "spec.invalid",
            _("The plan was not ready after %(seconds)d s; the machine is too busy. Try again.")
            % {"seconds": TIMEOUT_SECONDS},
        ) from exc
    if child.returncode != 0:
        raise SpecError("spec.invalid", child.stderr.decode(errors="replace")[-2000:].strip())
    document = json.loads(child.stdout)
    _prefer_versions(project, document)
    return read_plan_spec(json.dumps(document))


def _prefer_versions(project: Project, document: dict[str, Any]) -> None:
    examples = settings.ROOT / "examples"
    nodes = [node for node in _datasets(document) if Path(node["path"]).is_relative_to(examples)]
    versions = (
        DatasetVersion.objects.live()
        .filter(dataset__project=project, upload__sha256__in={node["digest"] for node in nodes})
        .select_related("dataset", "upload")
        .order_by("pk")
    )
    by_file = {(v.upload.sha256, v.dataset.kind): v for v in versions if not v.num_rejected}
    for node in nodes:
        version = by_file.get((node["digest"], node["kind"]))
        if version is not None:
            node |= version.reference()


def _datasets(value: Any) -> Iterator[dict[str, Any]]:
    """References to data files that hold a path."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str) and "where" in value:
            yield value
        for child in value.values():
            yield from _datasets(child)
    elif isinstance(value, list):
        for child in value:
            yield from _datasets(child)
