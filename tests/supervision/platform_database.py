"""The database of one platform of the tests: a SQLite file, or one of its own on a PostgreSQL."""

import sqlite3
import uuid
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

TEXT_TYPES = ("json", "jsonb", "timestamptz", "uuid")
"""PostgreSQL's types that are read as SQLite stores them."""


class PlatformDatabase(Protocol):
    """Read past Django."""

    url: str
    """The platform's DATABASE_URL; empty for SQLite."""

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Rows of a statement with `?` where the values go; documents and times are texts."""

    def drop(self) -> None:
        """The database is gone."""


class SqliteDatabase:
    """The file `studio.sqlite3` of a data directory."""

    url = ""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "studio.sqlite3"

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        database = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        try:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql, values)]
        finally:
            database.close()

    def drop(self) -> None:
        """It goes away with its directory."""


class PostgresDatabase:
    """A database made for one platform on the server of an address."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._name = f"studio_{uuid.uuid4().hex}"
        self.url = urlunsplit(urlsplit(server_url)._replace(path=f"/{self._name}"))
        self._connection: psycopg.Connection[dict[str, Any]] | None = None
        self._administer(f"CREATE DATABASE {self._name}")

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.url, autocommit=True, row_factory=dict_row)
            for name in TEXT_TYPES:
                self._connection.adapters.register_loader(name, TextLoader)
        return self._connection.execute(sql.replace("?", "%s"), values).fetchall()

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._administer(f"DROP DATABASE {self._name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(statement)


def open_database(server_url: str, data_dir: Path) -> PlatformDatabase:
    """A new database: on the PostgreSQL at `server_url`, or SQLite when that is empty."""
    return PostgresDatabase(server_url) if server_url else SqliteDatabase(data_dir)
