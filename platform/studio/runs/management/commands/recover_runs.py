"""Give up attempts whose worker is silent, as the dispatcher does by itself."""

from django.core.management.base import BaseCommand, CommandParser

from studio.runs import lifecycle
from studio.runs.models import Run


class Command(BaseCommand):
    help = "Give up attempts whose lease has run out; their runs are queued again or failed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say which")

    def handle(self, *_args: object, dry_run: bool, **_options: object) -> None:
        found = lifecycle.reap_expired(is_dry_run=dry_run)
        for run_id, attempt in found:
            state = Run.objects.values_list("state", flat=True).get(pk=run_id)
            self.stdout.write(f"run {run_id} attempt {attempt}: lease expired; run is {state}")
        noun = "attempt" if len(found) == 1 else "attempts"
        self.stdout.write(f"{len(found)} {noun} {'would be' if dry_run else 'were'} given up")
