"""Start the whole platform on this machine and keep it running until Ctrl-C."""

import time

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from pipeline.errors import StackError
from studio.accounts.services import setup_token_create
from studio.stack.local_stack import LocalStack

LOOK_EVERY_SECONDS = 0.5


class Command(BaseCommand):
    help = "Start web server, broker, dispatcher and workers; Ctrl-C stops them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *_args: object, port: int, **_options: object) -> None:
        try:
            with LocalStack(port=port, say=self.stdout.write) as stack:
                self.stdout.write(f"SOAE Studio is at {stack.url}")
                self._offer_setup(stack.url)
                self.stdout.write("Ctrl-C stops everything; a running training saves first.")
                self.stdout.flush()
                while not stack.stop_requested:
                    stack.keep_alive()
                    time.sleep(LOOK_EVERY_SECONDS)
                self.stdout.write("Stopping; once more Ctrl-C does not wait for running work.")
                self.stdout.flush()
        except StackError as exc:
            raise CommandError(str(exc)) from exc

    def _offer_setup(self, url: str) -> None:
        try:
            token = setup_token_create()
        except ValidationError:  # there is an administrator
            return
        link = url + reverse("accounts:setup", args=[token])
        self.stdout.write(f"Create the first administrator (within 30 minutes): {link}")
