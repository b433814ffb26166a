"""Rows for tests: plain functions, one for each kind of thing.

`samples` names an object for every argument that appears in an address; test_pages.py uses it to
open every page, so an app that adds addresses adds its objects there.
"""

import functools
import json
import os
import shutil
import signal
import tempfile
import uuid
from pathlib import Path

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile

from pipeline.__main__ import main
from pipeline.contracts.documents import read_plan_spec, read_run_spec
from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.gauge_results import GaugeResults
from pipeline.contracts.import_results import ImportCheckpointResults
from pipeline.contracts.reports import Environment, Output, Report, parse_report
from pipeline.contracts.training_results import ContinualPretrainResults, CurriculumSftResults
from studio.accounts.links import link_create
from studio.accounts.models import Membership, OneTimeLink, Project, Role, User
from studio.datasets import previews
from studio.datasets import services as dataset_services
from studio.quality import services as quality_services
from studio.registry.models import Certificate
from studio.revisions.models import Comparison, Revision
from studio.runs import lifecycle
from studio.runs import services as run_services
from studio.runs.paths import attempt_dir

TABLE = "\u95ee\u9898,\u7b54\u6848\nQ1,A1\nQ2,\nQ3,A3\n"
"""Two right rows and, on line 3, one without an answer."""


def make_project(slug="alpha", name="Alpha"):
    return Project.objects.create(slug=slug, name=name)


def make_user(username, *, project=None, role=None, is_superuser=False):
    """A user who signs in by `client.force_login`; nobody knows a password."""
    user = User(username=username, is_superuser=is_superuser)
    user.set_unusable_password()
    user.save()
    if project is not None:
        Membership.objects.create(project=project, user=user, role=role)
    return user


def make_upload(project, user, content=TABLE, name="table.csv"):
    """A file as the upload page stores it."""
    data = content.encode() if isinstance(content, str) else content
    file = TemporaryUploadedFile(name, "text/csv", len(data), None)
    file.write(data)
    file.flush()
    sha256 = dataset_services.file_sha256(file)
    upload = dataset_services.upload_create(project=project, actor=user, file=file, sha256=sha256)
    file.close()
    return upload


def start_import(project, user, content=TABLE, name="table.csv", **settings):
    """An import whose run is queued."""
    settings = {"kind": "domain_test", "policy": "valid_rows", "dataset_name": "Table", **settings}
    upload = make_upload(project, user, content, name)
    return dataset_services.import_start(upload=upload, actor=user, **settings)


def start_preview(project, user, content=TABLE, name="table.csv", **settings):
    """A preview whose run is queued."""
    settings = {"kind": "domain_test", "dataset_name": "Table", **settings}
    upload = make_upload(project, user, content, name)
    return previews.preview_start(upload=upload, actor=user, **settings)


def execute(run):
    """The run's program is executed here, as a supervisor would have it executed."""
    claim = lifecycle.claim(run.pk, slot=f"test/{uuid.uuid4()}", queue=run.queue)
    directory = attempt_dir(run.pk, claim.attempt)
    directory.mkdir(parents=True)
    status = run_program(claim.spec, directory, str(run.pk))
    if status == 0:
        report = parse_report((directory / "report.json").read_bytes())
        assert lifecycle.finish_succeeded(run.pk, claim.attempt, report)
    else:
        last = json.loads((directory / "events.jsonl").read_text().splitlines()[-1])["payload"]
        lifecycle.finish_failed(
            run.pk, claim.attempt, code=last["code"], message=last["message"],
            is_retryable=False, exit_status=status,
        )  # fmt: skip
    run.refresh_from_db()
    return run


def run_program(spec, directory, run_id):
    """Exit status of `python -m pipeline run` in this process, for kinds that need no torch."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    path = directory / "given.json"
    path.write_text(json.dumps(spec))
    try:
        return main(["run", str(path), "--run-dir", str(directory), "--run-id", run_id])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def make_import(project, user):
    """A finished import of `TABLE`; copied from one that was executed once, which is faster."""
    started = start_import(project, user)
    claim = lifecycle.claim(started.run.pk, slot=f"test/{uuid.uuid4()}", queue="interactive")
    directory = attempt_dir(started.run.pk, claim.attempt)
    shutil.copytree(_imported_table(), directory)
    report = parse_report((directory / "report.json").read_bytes())
    assert lifecycle.finish_succeeded(started.run.pk, claim.attempt, report)
    started.run.refresh_from_db()
    return started


def make_preview(project, user):
    """A finished preview of `TABLE`, copied as by `make_import`."""
    preview = start_preview(project, user)
    claim = lifecycle.claim(preview.run.pk, slot=f"test/{uuid.uuid4()}", queue="interactive")
    report = parse_report((_read_table("preview_dataset") / "report.json").read_bytes())
    assert lifecycle.finish_succeeded(preview.run.pk, claim.attempt, report)
    preview.run.refresh_from_db()
    return preview


def _imported_table():
    return _read_table("import_dataset", policy="valid_rows")


@functools.cache
def _read_table(kind, **settings):
    # In the folder that goes away with the session.
    directory = Path(tempfile.mkdtemp(prefix="table-", dir=os.environ["STUDIO_DATA_DIR"]))
    path = directory / "table.csv"
    path.write_text(TABLE)
    spec = {
        "kind": kind,
        "source": {"path": str(path)},
        "file_name": "table.csv",
        "dataset_kind": "domain_test",
        **settings,
    }
    assert run_program(spec, directory, f"{kind}-table") == 0
    return directory


ENVIRONMENT = Environment(
    python="3.11", packages={}, platform="", processor="CPU", num_threads=2, device="cpu",
    dtype="float32",
)  # fmt: skip
_TRAINED = {"steps": 10, "tokens": 1000, "trained_tokens": 900, "seconds": 2.0,
            "tokens_per_second": 500.0}  # fmt: skip
_PHASE = _TRAINED | {"tokens_by_source": {}, "loss_first": 3.0, "loss_last": 1.25}
_RESULTS = {
    "evaluate": EvaluateResults(),
    "import_checkpoint": ImportCheckpointResults(num_files=3, num_bytes=4000),
    "continual_pretrain": ContinualPretrainResults(**_PHASE, epochs_by_source={}, heldout=()),
    "curriculum_sft": CurriculumSftResults(**_TRAINED, mode="progressive", stages=()),
}


def make_report(run, results=None, **fields):
    """A report on `run`, with the plainest results of its kind where none are given."""
    fields = {"code_version": "unknown", "started_at": "", "seconds": 1.0, **fields}
    return Report(
        spec_digest=run.spec_digest,
        environment=ENVIRONMENT,
        results=_RESULTS[run.kind] if results is None else results,
        **fields,
    )


def gauge_results(bits_per_byte):
    """The results of an evaluation that measured the gauge only."""
    gauge = GaugeResults(
        bits_per_byte=bits_per_byte, kl_nats_per_token=0.0, num_texts=8, num_tokens=512,
        num_bytes=2100,
    )  # fmt: skip
    return EvaluateResults(gauge=gauge)


def gauge_spec():
    """A valid evaluation by gauge texts alone, of a base model that is not there."""
    model = {"path": str(settings.STUDIO_DATA_DIR / "models" / "tiny")}
    return {"kind": "evaluate", "model": model, "base": model, "gauge": {"prompts": corpus()}}


def corpus():
    """The reference of a corpus that every project may read."""
    path = settings.ROOT / "examples" / "soae_demo" / "corpus_general.zh.jsonl"
    return {"kind": "corpus", "path": str(path)}


def evaluation_spec(**changes):
    """A valid evaluation of a model that is not there: good for runs that no worker takes."""
    examples = settings.ROOT / "examples" / "soae_demo"
    model = {"path": str(settings.STUDIO_DATA_DIR / "models" / "tiny")}
    items = {"kind": "domain_test", "path": str(examples / "domain_test.zh.jsonl")}
    return {
        "kind": "evaluate",
        "name": "evaluation",
        "model": model,
        "base": model,
        "text_overlap": {"dataset": items},
        **changes,
    }


def make_run(project, user, **changes):
    """A queued run."""
    return run_services.run_create(
        project=project, actor=user, spec=read_run_spec(json.dumps(evaluation_spec(**changes)))
    )


def make_plan(project, user, name="plan"):
    """A plan of two steps, the second of which needs the first and has a gate."""
    model = {"path": str(settings.STUDIO_DATA_DIR / "models" / "tiny")}
    gate = {"metric": "results.text_overlap.n", "operator": "at_least", "value": 1}
    steps = [
        {"id": "first", "spec": evaluation_spec(name="first step")},
        {
            "id": "second",
            "spec": evaluation_spec(
                name="second step", baseline={"from_step": "first", "output": "samples"}, base=model
            ),
            "gates": [gate],
        },
    ]
    document = {"kind": "plan", "name": name, "steps": steps}
    return run_services.plan_create(
        project=project, actor=user, spec=read_plan_spec(json.dumps(document))
    )


def make_checkpoint(project, user, name="model"):
    """An imported checkpoint without files, and the run that imported it."""
    source = {"path": str(settings.STUDIO_DATA_DIR / "models" / name)}
    spec = {"kind": "import_checkpoint", "name": name, "source": source}
    run = run_services.run_create(project=project, actor=user, spec=read_run_spec(json.dumps(spec)))
    claim = lifecycle.claim(run.pk, slot=f"test/{uuid.uuid4()}", queue="interactive")
    output = Output(path="model", digest=uuid.uuid4().hex * 2, facts={"num_parameters": 1000})
    report = make_report(run, outputs={"model": output})
    assert lifecycle.finish_succeeded(run.pk, claim.attempt, report)
    run.refresh_from_db()
    return run.checkpoints.get(), run


def samples(project):
    """Values for the arguments of addresses: things of `project`, keyed by argument name."""
    admin = make_user(f"{project.slug}-sample-admin", project=project, role=Role.ADMIN)
    member = make_user(f"{project.slug}-sample-member", project=project, role=Role.EXPERT)
    link, _token = link_create(
        purpose=OneTimeLink.Purpose.INVITE, created_by=admin, project=project, role=Role.EXPERT
    )
    started = make_import(project, admin)
    checkpoint, import_run = make_checkpoint(project, admin)
    certificate = Certificate.objects.create(
        project=project, run=import_run, arm="lookup", document="{}"
    )
    preview = quality_services.preview_start(
        version=started.run.dataset_version, checkpoint=checkpoint, actor=admin,
        start=0, num_rows=2, max_seq_length=64,
    )  # fmt: skip
    version = started.run.dataset_version
    revision = Revision.objects.create(run=make_run(project, admin), base=version, created_by=admin)
    comparison = Comparison.objects.create(
        older=version, newer=version, run=make_run(project, admin)
    )
    return {
        "project": project.slug,
        "certificate_id": certificate.pk,
        "dataset_id": started.dataset_id,
        "import_id": started.pk,
        "preview_id": make_preview(project, admin).pk,
        "version_id": started.run.dataset_version.pk,
        "token_preview_id": preview.pk,
        "suffix": "jsonl",
        "revision_id": revision.pk,
        "comparison_id": comparison.pk,
        "change_id": 1,
        "tag_id": 1,
        "index": 0,
        "checkpoint_id": checkpoint.pk,
        "import_run_id": import_run.pk,
        "run_id": make_run(project, admin).pk,
        "plan_id": make_plan(project, admin).pk,
        "membership_id": member.memberships.get().pk,
        "link_id": link.pk,
        "token": "no-such-token",
    }
