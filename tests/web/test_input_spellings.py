"""One spelling of a thing: what a person may not read is not reached by writing it otherwise.

The fields are found in the contracts, the spellings are made from the path of each foreign thing;
a new kind or field is tested without a change here.
"""

import json
import random
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from django.urls import reverse
from pydantic import BaseModel

from pipeline.contracts.base import SpecBase
from pipeline.contracts.documents import read_run_spec
from pipeline.contracts.kinds import RUN_SPECS
from pipeline.contracts.references import (
    DatasetRef,
    ModelSourceRef,
    Reference,
    UploadRef,
    named_references,
)
from pipeline.contracts.reports import Output
from pipeline.contracts.specs import parse_run_spec
from pipeline.errors import SpecError
from studio.accounts.models import Role
from studio.launch.objects import ObjectNames, with_objects_found
from studio.runs import lifecycle
from studio.runs.inputs import refuse_unknown_inputs
from studio.runs.kinds import KINDS
from studio.runs.models import Run
from studio.runs.paths import attempt_dir, run_dir
from studio.runs.reports import run_report
from studio.runs.services import run_clone, run_create

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.generated]

ROOT = Path(__file__).resolve().parents[2]
SEED = 8
NUM_DRAWN = 6


def reference_fields(model: type[BaseModel], at: str = "") -> dict[str, type[Reference]]:
    """Dotted field of a spec, without the numbers of lists -> what it takes."""
    found = {}

    def inside(annotation: object, path: str) -> None:
        if isinstance(annotation, type) and issubclass(annotation, Reference):
            found[path] = annotation
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.update(reference_fields(annotation, path))
        for argument in get_args(annotation):
            inside(argument, path)

    for name, info in model.model_fields.items():
        inside(info.annotation, f"{at}.{name}" if at else name)
    return found


FIELDS = [
    (kind, field, reference)
    for kind, spec in RUN_SPECS.items()
    for field, reference in reference_fields(spec).items()
]


@dataclass
class Things:
    """What one project has, by what they are."""

    version: object
    upload: object
    checkpoint: object
    output: Path
    run: Run

    @property
    def paths(self) -> dict[str, str]:
        return {
            "version": str(self.version.rows_path),
            "upload": str(self.upload.path),
            "checkpoint": str(self.checkpoint.model_path),
            "output": str(self.output),
        }

    @property
    def tokens(self) -> dict[str, str]:
        return {
            "version": f"version:{self.version.pk}",
            "upload": f"upload:{self.upload.pk}",
            "checkpoint": f"checkpoint:{self.checkpoint.pk}",
            "output": f"run:{self.run.pk}:dataset",
        }


def things_of(factories, project, user) -> Things:
    run = factories.make_import(project, user).run
    checkpoint, _run = factories.make_checkpoint(project, user)
    version = run.dataset_version
    return Things(
        version=version,
        upload=version.upload,
        checkpoint=checkpoint,
        output=attempt_dir(run.pk, 1) / run.report["outputs"]["dataset"]["path"],
        run=run,
    )


@pytest.fixture
def data_dir(settings, tmp_path):
    settings.STUDIO_DATA_DIR = tmp_path / "var"
    for name in ("uploads", "models"):
        (settings.STUDIO_DATA_DIR / name).mkdir(parents=True)
    (settings.STUDIO_DATA_DIR / "secret_key").write_text("a key")
    return settings.STUDIO_DATA_DIR


@pytest.fixture
def engineer(client, factories, data_dir):
    user = factories.make_user("wei", project=factories.make_project(), role=Role.ENGINEER)
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return user


@pytest.fixture
def own(engineer, factories) -> Things:
    return things_of(factories, engineer.memberships.get().project, engineer)


@pytest.fixture
def foreign(factories, data_dir) -> Things:
    project = factories.make_project("other", "Other")
    return things_of(factories, project, factories.make_user("o", project=project, role=Role.ADMIN))


class Naming(SpecBase):
    """A spec that names one thing."""

    thing: Reference


def spec_naming(reference: Reference) -> SpecBase:
    return Naming.model_construct(thing=reference)


def own_path(takes: str, own: Things) -> str:
    names = {"model": "checkpoint", "dataset": "version", "upload": "upload"}
    return own.paths[names.get(takes, "output")]


def document_of(kind: str, own: Things) -> dict[str, object]:
    """The example of a kind with objects of the project for everything that it names."""
    document = json.loads((ROOT / "examples" / "specs" / f"{kind}.json").read_text())
    if kind == "logit_distill":
        document["teacher_cache"] = {"path": "-"}
    if kind == "mask_dataset":
        document["flags"] = {"path": "-"}
    if kind == "speculative_decode":
        stored = {"dataset": {"path": "-", "kind": "conversations"}, "teacher_cache": {"path": "-"}}
        document["schema_version"] = 3
        document["arms"].append({"method": "combined", "model": {"path": "-"}, **stored})
    for location, reference in named_references(parse_run_spec(json.dumps(document))):
        node = at(document, location)
        node["path"] = own_path(reference.takes, own)
        node.pop("digest", None)
    return document


def at(document: object, location: str) -> dict[str, object]:
    for part in location.split("."):
        document = document[int(part) if part.isdigit() else part]
    return document


def locations(document: dict[str, object], field: str) -> list[str]:
    """Where a field of the contract stands in a document."""
    return [
        location
        for location, _reference in named_references(parse_run_spec(json.dumps(document)))
        if ".".join(part for part in location.split(".") if not part.isdigit()) == field
    ]


def spellings(path: str, data_dir: Path, link: Path) -> dict[str, str]:
    """Texts that a program could take for `path`; `link` is a symbolic link that leads to it."""
    relative = Path(path).relative_to(data_dir).as_posix()
    head, _slash, tail = path.rpartition("/")
    return {
        "as it is": path,
        "through runs": f"{data_dir}/runs/../{relative}",
        "through uploads": f"{data_dir}/uploads/./../{relative}",
        "through examples": f"{ROOT}/examples/../../..{path}",
        "through a model": f"{data_dir}/models/../{relative}",
        "above the root": f"/../../..{path}",
        "relative": f"../../../../../../../../..{path}",
        "relative to the data": relative,
        "of the process": f"/proc/self/root{path}",
        "of a descriptor": f"/proc/self/fd/../root{path}",
        "of its directory": f"/proc/self/cwd/../../../../../../..{path}",
        "device": f"/dev/fd/../../proc/self/root{path}",
        "two slashes before": f"/{path}",
        "three slashes before": f"//{path}",
        "two slashes within": f"{head}//{tail}",
        "a dot within": f"{head}/./{tail}",
        "slash at the end": f"{path}/",
        "dot at the end": f"{path}/.",
        "up and down": f"{path}/../{tail}",
        "upper case": f"{head}/{tail.swapcase()}",
        "data directory in upper case": path.replace("/var/", "/VAR/"),
        "percent": path.replace("/", "%2f"),
        "percent dots": f"{data_dir}/runs/%2e%2e/{relative}",
        "percent twice": f"{data_dir}/runs/%252e%252e/{relative}",
        "full-width slash": f"{head}\N{FULLWIDTH SOLIDUS}{tail}",
        "division slash": f"{head}\N{DIVISION SLASH}{tail}",
        "one dot leader": f"{data_dir}/runs/\N{ONE DOT LEADER}\N{ONE DOT LEADER}/{relative}",
        "full-width letters": head + "/" + "".join(
            chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in tail
        ),
        "zero width": f"{path}\N{ZERO WIDTH SPACE}",
        "byte order mark": f"\N{ZERO WIDTH NO-BREAK SPACE}{path}",
        "right to left": f"\N{RIGHT-TO-LEFT OVERRIDE}{path}",
        "NUL at the end": f"{path}\0",
        "NUL and more": f"{path}\0.jsonl",
        "line end": f"{path}\n",
        "space before": f" {path}",
        "space behind": f"{path} ",
        "backslashes": path.replace("/", "\\"),
        "address": f"file://{path}",
        "home": f"~/../..{path}",
        "variable": f"${{STUDIO_DATA_DIR}}/{relative}",
        "link": str(link),
        "through a link": f"{link.parent}/../{link.parent.name}/{link.name}",
        "globbing": f"{head}/*",
        "directory": head,
        "surrogate": f"{path}\ud800",
    }  # fmt: skip


@pytest.fixture
def links(own, data_dir):
    """A symbolic link in the project's own run directory, to a path."""

    def link_to(path: str) -> Path:
        link = run_dir(own.run.pk) / "attempt-1" / f"link-{abs(hash(path))}"
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        return link

    return link_to


def whole_folders(data_dir: Path, own: Things) -> list[str]:
    """What holds more than one object, or what no run may read."""
    names = ("", "runs", "uploads", "datasets", "models", "registry", "imports", "secret_key",
             "studio.sqlite3", "models/..", "models/.", "models/")  # fmt: skip
    folders = [str(data_dir / name) if name[-1:] not in "./" else f"{data_dir}/{name}"
               for name in names]  # fmt: skip
    own_run = run_dir(own.run.pk)
    return [*folders, str(own_run), str(own_run / "attempt-1"), str(own_run / "attempt-1" / ".."),
            str(own_run / "attempt-2" / "rows.parquet"), "/", ".", "..", "/etc/passwd",
            str(ROOT), str(ROOT / "examples"), str(ROOT / "examples" / "soae_demo")]  # fmt: skip


@pytest.mark.parametrize("kind", RUN_SPECS)
def test_every_field_of_a_kind_stands_in_its_example(kind, own) -> None:
    document = document_of(kind, own)
    for field in reference_fields(RUN_SPECS[kind]):
        assert locations(document, field), field


def test_no_spelling_of_a_foreign_path_belongs_to_the_project(
    own, foreign, links, data_dir
) -> None:
    """Where in a spec it stands does not matter to an owner: every spelling x what is taken."""
    project, num_judged = own.version.dataset.project, 0
    for takes, (kind, field, _reference) in {field[2].takes: field for field in FIELDS}.items():
        document = document_of(kind, own)
        (location, *_others) = locations(document, field)
        spec = parse_run_spec(json.dumps(document))
        reference = dict(named_references(spec))[location]
        refuse_unknown_inputs(project, spec_naming(reference))  # the project's own is not refused
        named = [
            text
            for path in foreign.paths.values()
            for text in spellings(path, data_dir, links(path)).values()
        ] + whole_folders(data_dir, own)
        if takes not in ("model", "upload"):
            named = random.Random(f"{SEED}-{takes}").sample(named, NUM_DRAWN * 4)
        for text in named:
            try:
                changed = type(reference).model_validate(reference.model_dump() | {"path": text})
            except ValueError:
                continue  # no contract holds such a text
            with pytest.raises(SpecError) as caught:
                refuse_unknown_inputs(project, spec_naming(changed))
            assert caught.value.code == "spec.path_not_allowed", (takes, text)
            num_judged += 1
    assert num_judged > 350


def test_own_things_have_one_spelling(own, links, data_dir) -> None:
    project = own.version.dataset.project
    for name, path in own.paths.items():
        reference = UploadRef if name == "upload" else Reference
        for spelling, text in spellings(path, data_dir, links(path)).items():
            if spelling in ("as it is", "NUL at the end", "NUL and more", "surrogate"):
                continue
            with pytest.raises(SpecError):
                refuse_unknown_inputs(project, spec_naming(reference(path=text)))
        refuse_unknown_inputs(project, spec_naming(reference(path=path)))


@pytest.mark.parametrize(("kind", "field"), [field[:2] for field in FIELDS])
def test_a_typed_spec_reaches_nothing_foreign(
    client, engineer, own, foreign, links, data_dir, kind, field
) -> None:
    """Through the page: each field with a seeded draw of spellings, and with foreign objects."""
    rng = random.Random(f"{SEED}-{kind}-{field}")
    before = set(Run.objects.values_list("pk", flat=True))
    document = document_of(kind, own)
    texts = [
        {"path": text}
        for path in foreign.paths.values()
        for text in spellings(path, data_dir, links(path)).values()
    ] + [{"path": folder} for folder in whole_folders(data_dir, own)]
    foreign_nodes = [
        *({"path": path} for path in foreign.paths.values()),
        *({"object": token} for token in foreign.tokens.values()),
    ]
    nodes = [
        *rng.sample(texts, NUM_DRAWN),
        *foreign_nodes,
        {"object": own.tokens["version"], "path": foreign.paths["version"]},
        {"object": own.tokens["version"], "path": own.paths["version"]},
        {"object": "version:1 OR 1=1"},
        {"object": "version:\N{FULLWIDTH DIGIT ONE}"},
        {"object": f"version:{9 * 10**30}"},
        {"object": "run:*:dataset"},
        {"object": "base:../uploads"},
        {"object": "import:0:../x"},
        {"object": "nothing:1"},
        {"object": 1},
        {"path": ["a"]},
        {"from_step": "earlier"},
    ]
    (location, *_others) = locations(document, field)

    def naming(node):
        changed = json.loads(json.dumps(document))
        rest = at(changed, location)
        del rest["path"]
        rest |= node
        return changed

    project = own.version.dataset.project
    for node in nodes:
        with pytest.raises(SpecError):
            start(project, engineer, naming(node))
    for node in rng.sample(foreign_nodes, 2):
        response = launch(client, kind, naming(node))
        assert response.status_code == 400, node
        assert response.context["document_form"].errors["document"], node
    assert set(Run.objects.values_list("pk", flat=True)) == before
    # With what the project owns the same document starts.
    assert launch(client, kind, document).status_code == 302
    made = Run.objects.exclude(pk__in=before).get()
    assert run_clone(run=made, actor=engineer).spec == made.spec


def start(project, user, document):
    """What the page does with a typed document, without the page around it."""
    names = ObjectNames(project, user)
    spec = read_run_spec(with_objects_found(json.dumps(document), names))
    return run_create(project=project, actor=user, spec=spec)


def launch(client, kind, document):
    """By the page of its kind; kinds without a form of their own are typed on another's page."""
    page = kind if KINDS[kind].is_offered else "evaluate"
    address = reverse("launch:run", args=["alpha"], query={"kind": page})
    sent = {"document": json.dumps(document), "document_key": str(uuid.uuid4())}
    return client.post(address, sent)


def test_objects_are_named_and_become_paths_and_digests(client, engineer, own, data_dir) -> None:
    (data_dir / "models" / "tiny").mkdir()
    (data_dir / "models" / "tiny" / "config.json").write_text("{}")
    dataset = {"object": own.tokens["version"], "limit": 1}
    document = {
        "kind": "evaluate",
        "model": {"object": own.tokens["checkpoint"]},
        "base": {"object": "base:tiny"},
        "text_overlap": {"dataset": dataset},
        "general_ability": {"dataset": {"object": "example:general_mcq.zh"}},
    }
    assert launch(client, "evaluate", document).status_code == 302
    spec = Run.objects.order_by("-created_at").first().spec
    assert spec["model"]["path"] == own.paths["checkpoint"]
    assert spec["model"]["digest"] == own.checkpoint.digest
    assert spec["base"]["path"] == str(data_dir / "models" / "tiny")
    found = spec["text_overlap"]["dataset"]
    assert (found["path"], found["digest"]) == (own.paths["version"], own.version.digest)
    assert (found["kind"], found["limit"]) == ("domain_test", 1)
    assert spec["general_ability"]["dataset"]["digest"]
    document["text_overlap"]["dataset"]["kind"] = "conversations"
    assert launch(client, "evaluate", document).status_code == 400


def test_a_column_may_be_called_like_a_part_of_a_reference(client, engineer, own) -> None:
    columns = {"path": "instruction", "object": "output", "from_step": "ignore"}
    document = {
        "kind": "import_dataset", "source": {"object": own.tokens["upload"]}, "file_name": "a.csv",
        "dataset_kind": "domain_test", "columns": columns,
    }  # fmt: skip
    assert launch(client, "import_dataset", document).status_code == 302
    assert Run.objects.order_by("-created_at").first().spec["columns"] == columns


def test_only_an_import_reads_what_nobody_has_looked_at(own, settings, tmp_path) -> None:
    """An uploaded file, and a model in a folder from which models may be imported."""
    project = own.version.dataset.project
    settings.STUDIO_IMPORT_DIRS = [tmp_path / "imports"]
    (tmp_path / "imports" / "model").mkdir(parents=True)
    (tmp_path / "imports" / "model" / "config.json").write_text("{}")
    candidate = str(tmp_path / "imports" / "model")
    refuse_unknown_inputs(project, spec_naming(ModelSourceRef(path=candidate)))
    refuse_unknown_inputs(project, spec_naming(UploadRef(path=own.paths["upload"])))
    for reference in (
        Reference(path=candidate),
        UploadRef(path=candidate),
        Reference(path=own.paths["upload"]),
        DatasetRef(path=own.paths["upload"], kind="domain_test"),
    ):
        with pytest.raises(SpecError):
            refuse_unknown_inputs(project, spec_naming(reference))


def test_a_stored_thing_that_became_a_link_is_not_read(own, foreign) -> None:
    project = own.version.dataset.project
    own.upload.path.unlink()
    own.upload.path.symlink_to(foreign.upload.path)
    with pytest.raises(SpecError):
        refuse_unknown_inputs(project, spec_naming(UploadRef(path=own.paths["upload"])))


def test_an_output_that_is_a_link_is_not_published(own, foreign, factories, engineer) -> None:
    """Pages would read it with the platform's rights."""
    project = own.version.dataset.project
    run = factories.start_import(project, engineer, name="b.csv").run
    claim = lifecycle.claim(run.pk, slot="test/1", queue="interactive")
    directory = attempt_dir(run.pk, claim.attempt)
    directory.mkdir(parents=True)
    (directory / "rows.parquet").symlink_to(foreign.output)
    report = factories.make_report(
        run, results=run_report(own.run).results, outputs={"dataset": Output(path="rows.parquet")}
    )
    with pytest.raises(PermissionError):
        lifecycle.finish_succeeded(run.pk, claim.attempt, report)
    run.refresh_from_db()
    assert not run.is_terminal
