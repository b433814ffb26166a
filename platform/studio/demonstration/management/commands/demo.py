"""The whole method on the platform, from nothing: `make demo`."""

import subprocess
import sys
import time
from argparse import BooleanOptionalAction
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from pipeline.errors import PipelineError
from studio.accounts.models import Project, User
from studio.demonstration.accounts import demonstration_project
from studio.demonstration.data import start_missing_imports
from studio.demonstration.progress import PlanFollower
from studio.launch.method import method_plan
from studio.runs.documents import plan_document
from studio.runs.models import Plan, Run
from studio.runs.paths import attempt_dir
from studio.runs.querysets import RunQuerySet
from studio.runs.services import plan_create, plan_restart
from studio.runs.states import RunState
from studio.stack.local_stack import LocalStack

POLL_SECONDS = 1.0
STOPPED = 75
"""Exit status when a signal ended the demonstration before its plan; started again it goes on."""


class Command(BaseCommand):
    help = (
        "Start everything, make the demonstration project, run the whole method in it and keep the "
        "platform up; started again it goes on where it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lang", choices=("en", "zh"), default="en")
        parser.add_argument("--base", help="name of a known model, a model directory or .gguf file")
        parser.add_argument("--budget", default="demonstration", help="or `smoke`: a tiny model")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--stay",
            action=BooleanOptionalAction,
            default=True,
            help="keep the platform up when the plan has ended, until Ctrl-C",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            status = self._demonstrate(**options)
        except PipelineError as exc:
            raise CommandError(str(exc)) from exc
        if status != 0:
            sys.exit(status)

    def _demonstrate(
        self, *, lang: str, base: str | None, budget: str, port: int, stay: bool, **_options: Any
    ) -> int:
        base_path = _base_model(lang, base)
        with LocalStack(port=port, say=self._say) as stack:
            project, sign_in = demonstration_project()
            self._say(f"SOAE Studio is at {stack.url}")
            self._say(f"Sign in as {', '.join(sign_in.usernames)}: password {sign_in.password}")
            self._say("Ctrl-C stops everything; a running training saves first.")
            expert, engineer = (
                User.objects.get(username=name) for name in ("demo_expert", "demo_engineer")
            )
            imports = start_missing_imports(project=project, actor=expert, lang=lang)
            if not self._wait(stack, lambda: _all_ended(imports)):
                return STOPPED
            _refuse_failed(imports)
            plan = _plan(project, engineer, base_path=base_path, lang=lang, budget=budget)
            address = reverse("runs:plan", args=[project.slug, plan.pk])
            self._say(f"The plan is at {stack.url}{address}")
            if not self._wait(stack, PlanFollower(plan, stream=sys.stdout).poll):
                self._say("Stopping; started again it goes on.")
                return STOPPED
            succeeded = self._conclude(plan, stack.url)
            if stay:
                self._say("The platform stays up until Ctrl-C.")
                self._wait(stack, lambda: False)
        return 0 if succeeded else 1

    def _wait(self, stack: LocalStack, is_done: Callable[[], bool]) -> bool:
        """True when it is done; False when a signal came first."""
        while not is_done():
            if stack.stop_requested:
                return False
            stack.keep_alive()
            time.sleep(POLL_SECONDS)
        return True

    def _conclude(self, plan: Plan, url: str) -> bool:
        """The results stand in the terminal and in `<data dir>/demo/`; False if a step failed."""
        runs = {run.step_id: run for run in plan.runs.current_steps().defer("spec", "report")}
        steps = {step.id: runs[step.id] for step in plan_document(plan).spec.steps}
        failed = [step_id for step_id, run in steps.items() if run.state != RunState.SUCCEEDED]
        if failed:
            self._say(f"Not succeeded: {', '.join(failed)}. Started again, these go on.")
            return False
        slug = plan.project.slug
        _pipeline_demo(
            "report", "--dir", str(settings.STUDIO_DATA_DIR / "demo"),
            *(f"{name}={attempt_dir(run.pk, run.attempt)}" for name, run in steps.items()),
        )  # fmt: skip
        for title, name in (
            ("dashboards:", "evaluations:index"),
            ("beside the paper's:", "published:index"),
            ("side by side:", "comparisons:index"),
        ):
            self._say(f"{title:<20} {url}{reverse(name, args=[slug])}")
        return True

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _base_model(lang: str, base: str | None) -> Path:
    """The base model among the installation's models; the first time it is fetched."""
    chosen = ["--base", base] if base else []
    models = str(settings.STUDIO_DATA_DIR / "models")
    printed = _pipeline_demo("base", "--lang", lang, *chosen, "--models-dir", models, quiet=True)
    return Path(printed.strip())


def _pipeline_demo(*arguments: str, quiet: bool = False) -> str:
    """What the pipeline's demonstration program printed; its errors go to the terminal."""
    child = subprocess.run(  # noqa: S603 (our own program, no shell)
        [sys.executable, "-m", "pipeline.demo", *arguments],
        cwd=settings.ROOT,
        stdout=subprocess.PIPE if quiet else None,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        raise CommandError("see above", returncode=child.returncode)
    return child.stdout or ""


def _plan(project: Project, actor: User, *, base_path: Path, lang: str, budget: str) -> Plan:
    """The method's plan: the one begun before, if base model and data are the same."""
    document = method_plan(project, base_path=str(base_path), lang=lang, budget=budget)
    key = f"demo-{document.digest}"
    plan = plan_create(project=project, actor=actor, spec=document, idempotency_key=key)
    plan_restart(plan=plan, actor=actor)
    return plan


def _current(runs: list[Run]) -> RunQuerySet:
    return Run.objects.filter(pk__in=[run.pk for run in runs])


def _all_ended(runs: list[Run]) -> bool:
    return not _current(runs).unfinished().exists()


def _refuse_failed(runs: list[Run]) -> None:
    failed = _current(runs).exclude(state=RunState.SUCCEEDED).first()
    if failed is not None:
        raise CommandError(f"{failed.name}: [{failed.error_code}] {failed.error_message}")
