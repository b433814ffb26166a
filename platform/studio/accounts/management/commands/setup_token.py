from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from studio.accounts.services import setup_token_create


class Command(BaseCommand):
    help = "Print the one-time address at which the first administrator makes their account."

    def handle(self, *args: object, **options: object) -> None:
        try:
            token = setup_token_create()
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        self.stdout.write(reverse("accounts:setup", args=[token]))
        self.stderr.write("Open it on this server within 30 minutes. It works once.")
