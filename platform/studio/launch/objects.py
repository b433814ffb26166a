"""A specification that a person typed: what it reads is named by object.

`{"object": "version:12"}` stands where a spec has a path and a digest; the rest of the reference
(`kind`, `limit`, `where`) may stand beside it. Only objects of the person's own projects are found.
A path is accepted in one spelling only, the one that the object itself has, so that the
specification which a run's page shows can be sent again (`studio.runs.inputs`).
"""

import json
from collections.abc import Callable
from typing import Any, NoReturn
from uuid import UUID

from django.utils.translation import gettext as _

from pipeline.errors import SpecError
from studio.accounts.models import Project, User
from studio.datasets.examples import example_stems
from studio.datasets.models import DatasetVersion, Upload
from studio.launch.choices import (
    Choice,
    base_choices,
    checkpoint_choice,
    example_choice,
    task_files_choices,
    version_choice,
)
from studio.pages.text import control_character
from studio.registry.candidates import import_candidates
from studio.registry.models import Checkpoint
from studio.runs.models import Run
from studio.runs.paths import attempt_dir
from studio.runs.reports import run_report
from studio.runs.states import RunState

MAX_DEPTH = 64


class ObjectNames:
    """What the objects of a project are called in a typed specification.

    Args:
        project: whose objects they are.
        user: who asks; objects are found among those of their projects.
    """

    def __init__(self, project: Project, user: User) -> None:
        self._project = project
        self._user = user
        self._finders: dict[str, Callable[[str], Choice | None]] = {
            "version": self._version,
            "checkpoint": self._checkpoint,
            "run": self._output,
            "upload": self._upload,
            "base": self._base,
            "example": self._example,
            "task_files": self._task_files,
            "import": self._candidate,
        }

    def find(self, token: str) -> Choice | None:
        """The object called `token` (`version:12`); None where the project has no such object."""
        family, _colon, name = token.partition(":")
        finder = self._finders.get(family)
        return finder(name) if finder else None

    def _version(self, name: str) -> Choice | None:
        versions = DatasetVersion.objects.for_user(self._user).live().select_related("dataset")
        found = versions.filter(dataset__project=self._project, pk=_number(name)).first()
        return version_choice(found) if found else None

    def _checkpoint(self, name: str) -> Choice | None:
        checkpoints = Checkpoint.objects.for_user(self._user).live()
        found = checkpoints.filter(project=self._project, pk=_number(name)).first()
        return checkpoint_choice(found) if found else None

    def _output(self, name: str) -> Choice | None:
        run_name, _colon, output_name = name.partition(":")
        run_id = _uuid(run_name)
        if run_id is None:
            return None
        runs = Run.objects.for_user(self._user).filter(project=self._project)
        run = runs.filter(pk=run_id, state=RunState.SUCCEEDED).first()
        report = run_report(run) if run else None
        output = report.outputs.get(output_name) if report else None
        if run is None or output is None:
            return None
        return Choice(
            token=f"run:{name}",
            label=run.name,
            path=attempt_dir(run.pk, run.attempt) / output.path,
            digest=output.digest,
        )

    def _upload(self, name: str) -> Choice | None:
        upload_id = _uuid(name)
        if upload_id is None:
            return None
        uploads = Upload.objects.for_user(self._user).filter(discarded_at=None)
        found = uploads.filter(project=self._project, pk=upload_id).first()
        if found is None:
            return None
        return Choice(
            token=f"upload:{name}", label=found.file_name, path=found.path, digest=found.sha256
        )

    def _base(self, name: str) -> Choice | None:
        return next((one for one in base_choices() if one.token == f"base:{name}"), None)

    def _task_files(self, name: str) -> Choice | None:
        token = f"task_files:{name}"
        return next((one for one in task_files_choices() if one.token == token), None)

    def _example(self, name: str) -> Choice | None:
        for stem, lang in example_stems():
            if name == f"{stem}.{lang}":
                return example_choice(stem, lang)
        return None

    def _candidate(self, name: str) -> Choice | None:
        for candidate in import_candidates():
            if candidate.token == name:
                return Choice(token=f"import:{name}", label=candidate.label, path=candidate.path)
        return None


def with_objects_found(document: str, names: ObjectNames) -> str:
    """The JSON with a path and a digest where it names an object.

    What is wrong with it otherwise is left to the contract.

    Raises:
        SpecError: `spec.invalid`: there is no such object, it is of another kind, it is named in
            two ways, or a text holds a character that no text may hold; the message begins with the
            dotted location, in the reader's language.
    """
    try:
        written = json.loads(document)
        found = _found(written, names, ())
    except (ValueError, RecursionError):
        return document  # the contract says what is wrong with it
    return document if found == written else json.dumps(found)


def _found(value: Any, names: ObjectNames, at: tuple[str, ...]) -> Any:
    if len(at) > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        _refuse_controls(value, at)
        return value
    if isinstance(value, list):
        return [_found(child, names, (*at, str(index))) for index, child in enumerate(value)]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, child in value.items():
        _refuse_controls(key, at)
        found[key] = _found(child, names, (*at, key))
    token = found.get("object")
    if not isinstance(token, str) or ":" not in token:
        return found  # a column that is called so, or something that the contract refuses
    del found["object"]
    return _reference(token, found, names, ".".join((*at, "object")))


def _reference(
    token: str, beside: dict[str, Any], names: ObjectNames, location: str
) -> dict[str, Any]:
    """What a spec writes for the object, with what stood beside its name."""
    twice = sorted({"path", "digest", "from_step", "output"} & beside.keys())
    if twice:
        _refuse(location, _("name it in one way: without %(keys)s") % {"keys": ", ".join(twice)})
    choice = names.find(token)
    if choice is None:
        _refuse(location, _("the project has no %(object)s; it may be deleted") % {"object": token})
    reference = choice.reference()
    if reference.get("kind", beside.get("kind")) != beside.get("kind", reference.get("kind")):
        _refuse(
            location,
            _("%(object)s holds rows of the kind %(kind)s")
            % {"object": token, "kind": reference["kind"]},
        )
    return reference | beside


def _refuse_controls(text: str, at: tuple[str, ...]) -> None:
    character = control_character(text)
    if character:
        _refuse(
            ".".join(at),
            _("the control character %(character)s cannot be part of a text")
            % {"character": character},
        )


def _refuse(location: str, message: str) -> NoReturn:
    raise SpecError("spec.invalid", f"{location}: {message}" if location else message)


def _number(text: str) -> int:
    """A key of the database; 0, which none is, where the text is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
