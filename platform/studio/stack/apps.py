from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import pre_migrate


class StackConfig(AppConfig):
    name = "studio.stack"
    label = "stack"

    def ready(self) -> None:
        pre_migrate.connect(_let_migrations_take_their_time)


def _let_migrations_take_their_time(*, using: str, **_kwargs: object) -> None:
    """Building an index takes longer than any statement of a page; its locks still time out."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
