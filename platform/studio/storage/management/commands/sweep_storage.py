"""Remove from the disk what nothing needs, by the same rules as the page Disk."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat
from django.utils import timezone, translation

from studio.accounts.models import Project
from studio.storage.rules import Limits
from studio.storage.sweeping import ballast_dropped, limits_by_age, look, sweep


class Command(BaseCommand):
    help = "Remove checkpoints, leftovers and uploads that nothing needs and that are old enough."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only list what would go")
        parser.add_argument(
            "--days", type=float, help="how old, instead of STUDIO_RETENTION_DAYS; 0 for all"
        )
        parser.add_argument("--project", help="only this project's, by its slug")

    def handle(self, *_args: Any, **options: Any) -> None:
        with ballast_dropped():  # before the database is opened, which takes space too
            self._sweep(**options)

    def _sweep(self, **options: Any) -> None:
        slug, days = options["project"], options["days"]
        project = Project.objects.filter(slug=slug).first()
        if slug and project is None:
            raise CommandError(f"there is no project {slug!r}")
        if days is not None and days < 0:
            raise CommandError(f"--days is {days:g}; expected 0 or more")
        limits = limits_by_age()
        if days is not None:
            limit = timezone.now() - timedelta(days=days)
            limits = Limits(runs=limit, uploads=limit)
        if options["dry_run"]:
            found, verb = look(limits, project=project), "would be removed"
        else:
            found, verb = sweep(limits, actor=None, project=project), "removed"
        with translation.override("en"):
            for one in found:
                size = filesizeformat(one.num_bytes).replace("\xa0", " ")
                self.stdout.write(f"{size:>12}  {one.choice.kind:<10}  {one.choice.path}")
            total = filesizeformat(sum(one.num_bytes for one in found)).replace("\xa0", " ")
        self.stdout.write(f"{len(found)} {verb}, {total}")
