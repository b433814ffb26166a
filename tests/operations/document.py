"""The commands of a chapter of docs/operations.md, and where on this machine they are followed."""

import re
import socket
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path("/var/tmp/soae-operations")  # noqa: S108 (fixed: stored specs name paths below it)
DATA_DIR = PLACE / "data"
FOLDERS = {
    "/var/lib/soae-studio-broker": PLACE / "broker",
    "/var/lib/soae-studio": DATA_DIR,
    "/var/backups/soae-studio": PLACE / "backups",
    "/etc/soae-studio": PLACE / "etc",
    "/srv/soae-studio": PLACE / "srv",
    "/opt/soae-studio": PLACE / "opt",
    "/etc/systemd/system": PLACE / "units",
    "/etc/nginx": PLACE / "nginx",
}
"""Of the document and of platform/deploy, longest first where one begins like another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """On the loopback."""

    postgres: int
    broker: int
    web: int
    http: int
    https: int


def free_ports() -> Ports:
    """Ports that nobody listens at."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    numbers = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return Ports(**dict(zip(Ports.__slots__, numbers, strict=True)))


def relocated(text: str, ports: Ports) -> str:
    """`text` with this machine's folders and ports in the place of the document's."""
    for folder, place in FOLDERS.items():
        text = text.replace(folder, str(place))
    for written, port in (
        ("127.0.0.1:5432", ports.postgres),
        ("127.0.0.1:6380", ports.broker),
        ("127.0.0.1:8001", ports.web),
    ):
        text = text.replace(written, f"127.0.0.1:{port}")
    text = text.replace("--port 8001", f"--port {ports.web}")
    text = re.sub(r"^port 6380$", f"port {ports.broker}", text, flags=re.MULTILINE)
    text = text.replace("listen 80;", f"listen 127.0.0.1:{ports.http};")
    return text.replace("listen 443 ", f"listen 127.0.0.1:{ports.https} ")


def commands_of(chapter: str) -> dict[str, str]:
    """Every `sh` block of a chapter by its name, in order.

    Raises:
        ValueError: a block has no name, or the name of another.
    """
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    text = re.split(rf"^## {chapter}$", page, flags=re.MULTILINE)[1]
    text = re.split(r"^## ", text, flags=re.MULTILINE)[0]
    blocks: dict[str, str] = {}
    for name, block in re.findall(r"^```sh *(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if not name or name in blocks:
            raise ValueError(f"docs/operations.md, {chapter}: a block is called {name!r}")
        blocks[name] = block
    return blocks
