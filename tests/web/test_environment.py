"""The environment variables: safe when unset, refused when they make no sense."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from studio import environment
from studio.environment import (
    SIGNING_KEY_NAME,
    database_settings,
    private_text,
    read_environment,
    refuse_open_files,
    secret_key,
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch) -> None:
    for name in ("STUDIO_ALLOWED_HOSTS", "STUDIO_DEBUG", "STUDIO_HTTPS", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_defaults_are_safe(tmp_path) -> None:
    environment = read_environment(tmp_path)
    assert not environment.is_debug
    assert set(environment.allowed_hosts) == {"127.0.0.1", "localhost", "[::1]"}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"STUDIO_ALLOWED_HOSTS": "*"}, "STUDIO_ALLOWED_HOSTS"),
        ({"STUDIO_ALLOWED_HOSTS": "studio.example", "STUDIO_DEBUG": "1"}, "STUDIO_DEBUG"),
        ({"STUDIO_HTTPS": "yes"}, "STUDIO_HTTPS"),
        ({"STUDIO_ISOLATION": "none"}, "STUDIO_ISOLATION"),
        ({"STUDIO_COMPUTE_MEMORY_GIB": "all"}, "STUDIO_COMPUTE_MEMORY_GIB"),
    ],
)
def test_dangerous_values_are_refused_by_name(tmp_path, monkeypatch, variables, named) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=named):
        read_environment(tmp_path)


def test_a_training_leaves_memory_to_the_platform(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("STUDIO_COMPUTE_MEMORY_GIB", raising=False)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < read_environment(tmp_path).compute_memory_bytes <= 0.9 * machine
    monkeypatch.setenv("STUDIO_COMPUTE_MEMORY_GIB", "1.5")
    assert read_environment(tmp_path).compute_memory_bytes == 3 << 29


def test_database_address_is_taken_apart(tmp_path) -> None:
    settings = database_settings("postgresql://me:p%40ss@db:5433/studio?sslmode=require", tmp_path)
    assert settings["NAME"] == "studio"
    assert settings["PASSWORD"] == "p@ss"
    assert settings["PORT"] == "5433"
    assert settings["OPTIONS"]["sslmode"] == "require"


def test_a_database_that_says_nothing_is_given_up(tmp_path) -> None:
    """Every wait has an end, before a lease has; the address may set others, for a pooler none."""
    options = database_settings("postgresql://db/studio", tmp_path)["OPTIONS"]
    lease = read_environment(tmp_path).lease_seconds
    noticed = (
        options["connect_timeout"],
        options["tcp_user_timeout"] / 1000,
        options["keepalives_idle"] + options["keepalives_interval"] * options["keepalives_count"],
    )
    assert options["keepalives"] == 1
    assert all(0 < seconds <= lease / 3 for seconds in noticed)
    assert {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} == {
        setting.partition("=")[0] for setting in options["options"].split() if "=" in setting
    }
    changed = database_settings("postgresql://db/studio?connect_timeout=9&options=", tmp_path)
    assert changed["OPTIONS"] == options | {"connect_timeout": "9", "options": ""}


@pytest.mark.parametrize("url", ["mysql://db/studio", "postgresql://db/", "studio"])
def test_other_databases_are_refused(tmp_path, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        database_settings(url, tmp_path)


def test_sqlite_is_in_wal_mode_and_takes_its_lock_at_the_start(db) -> None:
    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("the tests run on PostgreSQL")
    assert connection.transaction_mode == "IMMEDIATE"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)


def test_passwords_are_kept_by_argon2() -> None:
    """The tests themselves use a cheaper hash."""
    from studio import settings

    assert settings.PASSWORD_HASHERS == ["django.contrib.auth.hashers.Argon2PasswordHasher"]


def test_secret_key_is_private_and_stays(tmp_path) -> None:
    data_dir = tmp_path / "var"
    key = secret_key(data_dir)
    assert len(key) >= 50
    assert secret_key(data_dir) == key
    assert [path.name for path in data_dir.iterdir()] == ["secret_key"]
    assert (data_dir / "secret_key").stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_read_the_same_secret_key(tmp_path, monkeypatch) -> None:
    """A rival makes the key after we saw that there is none and before ours is in place."""
    make_token = environment.secrets.token_urlsafe
    rival_keys: list[str] = []

    def token_after_the_rival(num_bytes: int) -> str:
        monkeypatch.setattr(environment.secrets, "token_urlsafe", make_token)
        rival_keys.append(secret_key(tmp_path))
        return make_token(num_bytes)

    monkeypatch.setattr(environment.secrets, "token_urlsafe", token_after_the_rival)
    assert [secret_key(tmp_path)] == rival_keys


@pytest.mark.parametrize("bit", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
@pytest.mark.parametrize("name", ["", "secret_key", "signing_key"])
def test_files_that_others_can_open_stop_the_start(tmp_path, name: str, bit: int) -> None:
    data_dir = tmp_path / "var"
    secret_key(data_dir)
    refuse_open_files(data_dir)
    private_text(data_dir / SIGNING_KEY_NAME, lambda: "a key")
    refuse_open_files(data_dir)
    path = data_dir / name
    mode = path.stat().st_mode & 0o777
    path.chmod(mode | bit)
    with pytest.raises(ImproperlyConfigured) as caught:
        refuse_open_files(data_dir)
    remedy = str(caught.value).rpartition(": ")[2]
    assert remedy.endswith(str(path))
    subprocess.run(remedy.split(), check=True)
    assert path.stat().st_mode & 0o777 == mode
    refuse_open_files(data_dir)


PROCESSES = {
    "command": "import sys, manage; sys.argv = ['manage.py', 'check']; manage.main()",
    "web": "import studio.wsgi",
    "worker": "import workers.app",
    "demonstration": "import pipeline.demo.__main__ as m; m.main(['plan', '--base', '/none'])",
}


@pytest.mark.slow
def test_every_process_writes_for_its_own_user_only(tmp_path: Path) -> None:
    """Started by somebody whose files everybody may read and write."""
    root = Path(settings.ROOT)
    shown = "; import os; print(oct(os.umask(0)))"
    children = {
        name: subprocess.Popen(
            [sys.executable, "-c", code + shown],
            cwd=root,
            env=os.environ
            | {
                "PYTHONPATH": f"{root}:{root / 'platform'}",
                "DJANGO_SETTINGS_MODULE": "studio.settings",
                "STUDIO_DATA_DIR": str(tmp_path / name),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            umask=0,
            text=True,
        )
        for name, code in PROCESSES.items()
    }
    for name, child in children.items():
        out, error = child.communicate(timeout=60)
        assert out.splitlines()[-1:] == ["0o77"], (name, error)
    made = [path for path in tmp_path.rglob("*") if not path.is_symlink()]
    assert any(path.name == "secret_key" for path in made)
    assert [path for path in made if path.stat().st_mode & 0o077] == []
