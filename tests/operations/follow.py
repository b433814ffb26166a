"""Follows the production chapter of docs/operations.md: `make test-operations`.

Every `sh` block is run as it stands, in one shell, as root; folders and ports alone are others
(`document.py`). Between the blocks this script does what people do meanwhile: it works on the site
through nginx, keeps it busy during the backup, and looks whether what was promised holds. Units are
started by a stand-in for systemctl (`systemctl.py`) and read by `systemd-analyze verify`.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.operations.document import DATA_DIR, PLACE, commands_of, free_ports, relocated
from tests.operations.machine import command, prepared_machine
from tests.operations.site import Load, Site, write_corpus

STORED = Path(__file__).with_name("state_0_1_0")
PATIENCE_SECONDS = 240
DONE = "@@done@@"
START_TRAINING = """
import json, sys
from pipeline.contracts.documents import read_run_spec
from studio.accounts.models import Project, User
from studio.datasets.models import DatasetVersion
from studio.registry.models import Checkpoint
from studio.runs.services import run_create
project = Project.objects.get(slug="reports")
spec = {
    "kind": "continual_pretrain", "name": "under load",
    "model": Checkpoint.objects.get(kind="imported").reference(),
    "sources": [{"name": "reports", "weight": 1.0,
                 "dataset": DatasetVersion.objects.get(dataset__name="first").reference()}],
    "num_tokens": 50_000, "optimizer": {"learning_rate": 0.001},
    "batch": {"max_seq_length": 128, "gradient_accumulation_steps": 1},
    "checkpoint_every_steps": 20,
}
run_create(project=project, actor=User.objects.get(username="wangmin"),
           spec=read_run_spec(json.dumps(spec)))
"""
IMPORT_MODEL = """
from pathlib import Path
from studio.accounts.models import Project, User
from studio.registry.candidates import import_candidates
from studio.registry.services import import_start
found = next(each for each in import_candidates() if each.path.name == "tiny")
import_start(project=Project.objects.get(slug="reports"), candidate=found, name="tiny",
             actor=User.objects.get(username="wangmin"))
"""


class Follower:
    """The shell, and the document's commands."""

    def __init__(self, environment: dict[str, str], blocks: dict[str, str]) -> None:
        self._blocks = blocks
        self._followed: list[str] = []
        self._shell = subprocess.Popen(
            ["bash", "-euo", "pipefail"], env=environment, text=True, cwd=PLACE,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def follow(self, *names: str) -> str:
        """What the blocks printed.

        Raises:
            SystemExit: a command failed.
        """
        output = ""
        for name in names:
            began = time.monotonic()
            output = self.run(self._blocks[name])
            self._followed.append(name)
            print(f"[{time.monotonic() - began:5.1f} s] {name}", flush=True)
        return output

    def run(self, commands: str) -> str:
        """What commands that are not the document's printed in its shell."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{commands}\nprintf '\\n%s\\n' {DONE}\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.strip() == DONE:
                return "".join(lines)
            lines.append(line)
        sys.exit(f"this failed:\n{commands}\n--- it printed:\n{''.join(lines)}\n{service_logs()}")

    def close(self) -> None:
        """The shell has ended, and no block was left out.

        Raises:
            SystemExit: the document has a block that nobody followed.
        """
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(timeout=30)
        if left := [name for name in self._blocks if name not in self._followed]:
            sys.exit(f"blocks of docs/operations.md that were not followed: {', '.join(left)}")


def service_logs() -> str:
    """The end of what each service said."""
    return "\n".join(
        f"--- {path.name}\n{path.read_text(errors='replace')[-2500:]}"
        for path in sorted((PLACE / "state").glob("*.log"))
    )


class Inspector:
    """Looks into the database, past the platform."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def rows(self, sql: str) -> list[list[str]]:
        """Rows of a query."""
        output = self._follower.run(
            "runuser -u postgres -- psql --no-align --tuples-only --field-separator='|' "
            f"soae_studio <<'SQL'\n{sql};\nSQL"
        )
        return [line.split("|") for line in output.splitlines() if line]

    def wait(self, sql: str, what: str) -> None:
        """The query has a row.

        Raises:
            SystemExit: not within `PATIENCE_SECONDS`.
        """
        began = time.monotonic()
        while not self.rows(sql):
            if time.monotonic() - began > PATIENCE_SECONDS:
                runs = self.rows("SELECT name, state, attempt, error_message FROM runs_run")
                sys.exit(f"not within {PATIENCE_SECONDS} s: {what}\n{runs}\n{service_logs()}")
            time.sleep(0.3)
        print(f"[{time.monotonic() - began:5.1f} s]   ... {what}", flush=True)


def check(holds: object, what: str) -> None:
    """Says what holds.

    Raises:
        SystemExit: it does not.
    """
    if not holds:
        sys.exit(f"does not hold: {what}\n{service_logs()}")
    print(f"            {what}", flush=True)


def install(follower: Follower, inspector: Inspector, site: Site) -> None:
    """The site is there and has a first account, a project, data and a model."""
    follower.follow("packages", "debian-redis", "code", "settings", "manage", "start")
    verify_units()
    follower.follow("certificate", "nginx")
    link = re.search(r"/setup/[\w-]+/", follower.follow("administrator"))
    check(link, "the set-up link is printed")
    assert link is not None
    site.post(link[0], username="wangmin", password1="quarterly-report-27",
              password2="quarterly-report-27")  # fmt: skip
    site.sign_in("wangmin")
    site.post("/projects/new/", name="Annual reports", slug="reports")
    corpus = write_corpus(PLACE / "corpus.jsonl")
    model = PLACE / "srv/models/tiny"
    command(
        sys.executable, "-c", "import sys; from pathlib import Path; from pipeline.modeling.tiny "
        "import save_tiny_model; save_tiny_model(Path(sys.argv[1]))", model,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    (model / "model.safetensors").chmod(0o644)
    follower.run(f"manage shell -c '{IMPORT_MODEL}'")
    site.upload(corpus, kind="corpus", name="first")
    inspector.wait("SELECT 1 FROM datasets_datasetversion", "the upload is a version")
    inspector.wait(
        "SELECT 1 FROM registry_checkpoint WHERE kind = 'imported'", "the model is there"
    )


def verify_units() -> None:
    """systemd has no complaint about the units as they are installed."""
    units = sorted(str(path) for path in (PLACE / "units").iterdir())
    check(units, "units are installed")
    if shutil.which("systemd-analyze") is None:
        print("            systemd-analyze is not here: units were not verified", flush=True)
        return
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], check=False, text=True,
        capture_output=True, env={"SYSTEMD_UNIT_PATH": f"{PLACE}/units:", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    complaints = [line for line in result.stderr.splitlines() if "soae-studio" in line]
    check(result.returncode == 0 and not complaints, f"{len(units)} units verified {complaints}")


def back_up_under_load(follower: Follower, inspector: Inspector, site: Site) -> None:
    """A backup made while people upload and a model is trained restores to a whole site."""
    follower.run(f"manage shell -c '{START_TRAINING}'")
    inspector.wait(
        "SELECT 1 FROM runs_runevent WHERE kind = 'CheckpointSaved'", "the training saved once"
    )
    load_dir = PLACE / "load"
    load_dir.mkdir()
    with Load(site, load_dir) as load:
        while len(load.acknowledged) < 2 and load.error is None:
            time.sleep(0.1)
        began = time.monotonic()
        follower.follow("backup")
        took = time.monotonic() - began
    before = {name for at, name in load.acknowledged if at < began}
    print(f"            {len(load.acknowledged)} uploads, {len(before)} before the backup of "
          f"{took:.1f} s", flush=True)  # fmt: skip
    state = inspector.rows("SELECT state FROM runs_run WHERE name = 'under load'")
    check(state == [["running"]], "the training was running")
    follower.follow("restore")
    print(follower.follow("verify"), end="")
    follower.follow("restart")
    restored = {row[0] for row in inspector.rows("SELECT name FROM datasets_dataset")}
    check(before | {"first"} <= restored, "what was acknowledged before the backup is there")
    wait_for_pages()
    check("Annual reports" in site.get("/"), "the session goes on after the restore")
    inspector.wait(
        "SELECT 1 FROM runs_run WHERE name = 'under load' AND state = 'succeeded' "
        "AND attempt > 1", "the training went on from its checkpoint",
    )  # fmt: skip


def wait_for_pages() -> None:
    """The web server answers again behind nginx."""
    began = time.monotonic()
    while time.monotonic() - began < 60:
        result = subprocess.run(
            ["curl", "--silent", "--fail", "--output", "/dev/null",
             "https://studio.example.org/sign-in/"],
            env={"CURL_HOME": str(PLACE / "curl"), "PATH": "/usr/bin:/bin"}, check=False,
        )  # fmt: skip
        if result.returncode == 0:
            return
        time.sleep(0.3)
    sys.exit(f"no page within 60 s\n{service_logs()}")


def upgrade_stored_state(follower: Follower, inspector: Inspector, site: Site) -> None:
    """A 0.1.0 that was cut off works on under this release; the way back is the backup."""
    facts = json.loads((STORED / "facts.json").read_text())
    follower.run(f"BACKUP={STORED}")
    follower.follow("restore")
    migrations = "SELECT app, name FROM django_migrations ORDER BY id"
    of_0_1_0 = inspector.rows(migrations)
    check(len(of_0_1_0) == facts["num_migrations"], "the tables are those of 0.1.0")
    files = {str(path) for path in DATA_DIR.rglob("*") if path.is_file()}
    follower.follow("upgrade", "backup", "new-release")
    wait_for_pages()
    site.sign_in(facts["username"])
    check(facts["project"] in site.get("/"), "an account of 0.1.0 signs in and sees its project")
    for path in facts["pages"]:
        site.get(path)
    check(True, f"{len(facts['pages'])} pages of what 0.1.0 made open")
    run = f"SELECT 1 FROM runs_run WHERE id = '{facts['run_in_flight']}'"
    inspector.wait(f"{run} AND state IN ('succeeded', 'failed')", "the run in flight has ended")
    check(inspector.rows(f"{run} AND state = 'succeeded'"), "it succeeded")
    attempts = inspector.rows(
        f"SELECT number, resumed_from FROM runs_attempt WHERE run_id = '{facts['run_in_flight']}' "
        "ORDER BY number"
    )
    check("/attempt-1/checkpoints/" in attempts[-1][1], f"from its checkpoint: {attempts[-1][1]}")
    queued = f"SELECT 1 FROM runs_run WHERE id = '{facts['run_queued']}' AND state = 'succeeded'"
    inspector.wait(queued, "the run that waited behind it succeeded")
    follower.follow("verify")
    follower.follow("restore")
    check(inspector.rows(migrations) == of_0_1_0, "the backup brings the tables of 0.1.0 back")
    again = {str(path) for path in DATA_DIR.rglob("*") if path.is_file()}
    check(files == again, "and its files")


def main() -> None:
    began = time.monotonic()
    ports = free_ports()
    blocks = {name: relocated(block, ports) for name, block in commands_of("Production").items()}
    with prepared_machine(ports) as environment:
        print(f"[{time.monotonic() - began:5.1f} s] the machine is prepared", flush=True)
        follower = Follower(environment, blocks)
        inspector = Inspector(follower)
        site = Site(PLACE / "cookies", environment)
        install(follower, inspector, site)
        back_up_under_load(follower, inspector, site)
        upgrade_stored_state(follower, inspector, site)
        follower.close()
    shutil.rmtree(PLACE)
    print(f"every command of the chapter was followed, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
