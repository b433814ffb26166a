from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from studio.pages.catalogs import catalogs, problems, refresh


class Command(BaseCommand):
    help = "Bring the Chinese catalogs up to date with the sources and compile them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("apps", nargs="*", help="only these catalogs; by default all")
        parser.add_argument("--check", action="store_true", help="change nothing, only report")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = [
            files for files in catalogs() if not options["apps"] or files.name in options["apps"]
        ]
        if not options["check"]:
            for files in chosen:
                refresh(files)
        found = [problem for files in chosen for problem in problems(files)]
        for problem in found:
            self.stdout.write(problem)
        if found:
            raise CommandError(f"{len(found)} messages need attention (edit the .po, run again)")
