"""Serve the pages: what `up` starts as `web`, and a production unit by itself."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.servers.basehttp import get_internal_wsgi_application

from studio.stack.web_server import Limits, bound_socket, keep_bodies_in, serve


class Command(BaseCommand):
    help = "Serve the pages over HTTP at one address; SIGTERM ends it after the open requests."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *_args: object, host: str, port: int, **_options: object) -> None:
        largest = settings.STUDIO_MAX_UPLOAD_BYTES
        limits = Limits(
            # A file above the cap still reaches the form, which can say why it is refused.
            body_bytes=2 * largest,
            all_bodies_bytes=8 * largest,
        )
        keep_bodies_in(settings.FILE_UPLOAD_TEMP_DIR)
        try:
            listener = bound_socket(host, port)
        except OSError as exc:
            raise CommandError(f"cannot listen at {host}:{port}: {exc.strerror}") from exc
        serve(get_internal_wsgi_application(), listener, limits)
