"""Makes the stored state of a release: `python -m tests.operations.store_state CODE TARGET`.

CODE is a checkout of that release; its own commands make the database, its own platform runs what
is stored. TARGET becomes a backup as docs/operations.md makes one (taken while a training runs and
another waits behind it), with `facts.json` for the script that restores and upgrades it. Root, and
the folder of `document.PLACE`, because specs name their inputs by absolute paths.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.operations.document import DATA_DIR, PLACE, free_ports
from tests.operations.machine import command, start_postgres
from tests.operations.site import PASSWORD, write_corpus

USERNAME = "lina"
PATIENCE_SECONDS = 180
PEOPLE = f"""
import json, sys, tempfile
from pathlib import Path
from django.core.files.uploadedfile import TemporaryUploadedFile
from pipeline.contracts.documents import read_run_spec
from studio.accounts.models import Membership, Project, Role, User
from studio.datasets import services
from studio.datasets.models import DatasetVersion
from studio.registry.candidates import import_candidates
from studio.registry.models import Checkpoint
from studio.registry.services import import_start
from studio.runs.services import run_create
project, _ = Project.objects.get_or_create(slug="bureau", defaults=dict(name="Bureau of 0.1.0"))
actor = User.objects.filter(username="{USERNAME}").first()
if actor is None:
    actor = User.objects.create_user("{USERNAME}", password="{PASSWORD}")
    Membership.objects.create(project=project, user=actor, role=Role.ENGINEER)
"""
BRING_IN = """
data = Path("CORPUS").read_bytes()
file = TemporaryUploadedFile("reports.jsonl", "application/jsonl", len(data), None)
file.write(data); file.flush()
upload = services.upload_create(project=project, actor=actor, file=file,
                                sha256=services.file_sha256(file))
services.import_start(upload=upload, actor=actor, dataset_name="Reports", kind="corpus",
                      policy="valid_rows")
import_start(project=project, actor=actor, candidate=import_candidates()[0], name="tiny")
"""
TRAIN = """
for name, num_tokens in (("In flight", 150_000), ("Waiting", 5_000)):
    spec = {
        "kind": "continual_pretrain", "name": name,
        "model": Checkpoint.objects.get().reference(),
        "sources": [{"name": "reports", "weight": 1.0,
                     "dataset": DatasetVersion.objects.get().reference()}],
        "num_tokens": num_tokens, "optimizer": {"learning_rate": 0.001},
        "batch": {"max_seq_length": 128, "gradient_accumulation_steps": 1},
        "checkpoint_every_steps": 50,
    }
    run_create(project=project, actor=actor, spec=read_run_spec(json.dumps(spec)))
"""


def main(code: Path, target: Path) -> None:
    """`target` holds the state.

    Args:
        code: a checkout of the release.
        target: emptied first.
    """
    shutil.rmtree(PLACE, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    PLACE.mkdir(mode=0o755)
    target.mkdir(parents=True)
    ports = free_ports()
    postgres = start_postgres(ports)
    as_postgres = ["runuser", "-u", "postgres", "--", "psql", "--quiet", "-h",
                   str(PLACE / "postgres-socket"), "-p", str(ports.postgres)]  # fmt: skip

    def sql(query: str, database: str = "studio") -> str:
        arguments = [*as_postgres, "--tuples-only", "--no-align", "-c", query, database]
        return command(*arguments, cwd="/").strip()

    sql("CREATE ROLE studio LOGIN PASSWORD 'studio'", "postgres")
    sql("CREATE DATABASE studio OWNER studio", "postgres")
    url = f"postgresql://studio:studio@127.0.0.1:{ports.postgres}/studio"
    environment = os.environ | {"STUDIO_DATA_DIR": str(DATA_DIR), "DATABASE_URL": url}
    corpus = write_corpus(PLACE / "corpus.jsonl")
    command(sys.executable, "-c", "from pathlib import Path; from pipeline.modeling.tiny import *; "
            f"tiny_llama(hidden_size=32).save_pretrained('{DATA_DIR}/imports/tiny'); "
            f"tiny_tokenizer().save_pretrained('{DATA_DIR}/imports/tiny')", cwd=code)  # fmt: skip

    def people(script: str) -> None:
        command(sys.executable, "manage.py", "shell", "-c", PEOPLE + script, cwd=code,
                env=environment)  # fmt: skip

    def wait(query: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not sql(query):
            assert time.monotonic() < deadline, sql(
                "SELECT name, state, error_message FROM runs_run"
            )
            time.sleep(0.1)

    command(sys.executable, "manage.py", "migrate", "--no-input", cwd=code, env=environment)
    platform = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--port", str(ports.web)], cwd=code, env=environment
    )
    try:
        people(BRING_IN.replace("CORPUS", str(corpus)))
        wait("SELECT 1 FROM datasets_datasetversion")
        wait("SELECT 1 FROM registry_checkpoint")
        people(TRAIN)
        wait("SELECT 1 FROM runs_runevent WHERE kind = 'CheckpointSaved'")
        command("pg_dump", "--format=custom", "--no-owner", f"--file={target}/database.dump", url)
        command(
            "tar", "--create", f"--file={target}/files.tar", "--warning=no-file-changed",
            f"--directory={DATA_DIR}", "--exclude=./uploads/partial", "--exclude=./slots",
            "--exclude=./log", "--exclude=./broker", "--exclude=.partial-*", ".",
        )  # fmt: skip
        facts = {
            "username": USERNAME,
            "project": "Bureau of 0.1.0",
            "num_migrations": int(sql("SELECT count(*) FROM django_migrations")),
            "run_in_flight": sql("SELECT id FROM runs_run WHERE name = 'In flight'"),
            "run_queued": sql("SELECT id FROM runs_run WHERE name = 'Waiting'"),
            "pages": [
                "/p/bureau/datasets/",
                f"/p/bureau/datasets/versions/{sql('SELECT id FROM datasets_datasetversion')}/",
                "/p/bureau/registry/",
                f"/p/bureau/registry/{sql('SELECT id FROM registry_checkpoint')}/",
                "/p/bureau/runs/",
                f"/p/bureau/runs/{sql('SELECT id FROM runs_run WHERE name = $$In flight$$')}/",
            ],
        }
        (target / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
        sums = command("sha256sum", "database.dump", "files.tar", cwd=target)
        (target / "SHA256SUMS").write_text(sums)
    finally:
        platform.terminate()
        platform.wait(timeout=120)
        postgres.terminate()
        postgres.wait(timeout=60)
    shutil.rmtree(PLACE)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
