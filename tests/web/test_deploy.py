"""The files of platform/deploy say what the platform's settings and addresses say."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from tests.operations.document import commands_of

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "platform" / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
MEBIBYTE = 1 << 20


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_gives_its_service_no_more_than_it_needs(path: Path) -> None:
    """A unit that lacks one of these runs with what the whole machine may."""
    text = path.read_text()
    user = re.search(r"^User=(.+)$", text, re.MULTILINE)
    assert user is not None
    assert user[1] != "root"
    for line in (
        "UMask=0077", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict",
        "ProtectHome=yes", "PrivateTmp=yes", "KillMode=mixed", "SystemCallArchitectures=native",
    ):  # fmt: skip
        if line == "KillMode=mixed" and path.stem == "soae-studio-broker":
            continue  # one process
        assert line in text.splitlines(), line
    assert re.search(r"^SystemCallFilter=@system-service", text, re.MULTILINE)
    assert re.search(r"^RestrictNamespaces=", text, re.MULTILINE)


def test_no_unit_holds_a_secret() -> None:
    for path in DEPLOY.iterdir():
        for word in re.findall(r"(?:PASSWORD|KEY|SECRET|TOKEN)=(\S*)", path.read_text()):
            assert word == "", path


def test_every_setting_of_the_site_is_one_the_platform_reads() -> None:
    documented = re.findall(r"^### (\w+)$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    names = re.findall(r"^(\w+)=", (DEPLOY / "studio.env").read_text(), re.MULTILINE)
    assert set(names) <= set(documented)


def test_nginx_lets_through_what_the_platform_takes_and_no_more() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    everywhere, uploads = (
        int(size) * MEBIBYTE for size in re.findall(r"client_max_body_size (\d+)m;", text)
    )
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE < everywhere < 4 * MEBIBYTE
    over = uploads - settings.STUDIO_MAX_UPLOAD_BYTES
    assert MEBIBYTE <= over < 50 * MEBIBYTE
    location = re.search(r"location ~ (\S+) {\s+client_max_body_size", text)
    assert location is not None
    assert re.fullmatch(location[1], reverse("datasets:upload", args=["annual-reports"]))
    assert not re.fullmatch(location[1], reverse("datasets:index", args=["annual-reports"]))


def test_nginx_replaces_what_a_client_says_of_its_address() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
    assert "proxy_add_x_forwarded_for" not in text
    # One location with headers of its own would inherit none of the others.
    assert len(re.findall(r"^ {8}proxy_set_header", text, re.MULTILINE)) == 0


def test_every_command_of_the_production_chapter_can_be_followed() -> None:
    """`make test-operations` follows them; here, that each block has a name of its own."""
    assert len(commands_of("Production")) > 10
