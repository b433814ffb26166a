"""Vendored files are the ones whose origin and hash are written down."""

import hashlib
import re

from django.conf import settings

VENDOR = settings.STUDIO / "static" / "vendor"


def test_every_vendored_file_has_its_line_and_hash() -> None:
    lines = re.findall(
        r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", (VENDOR / "VENDORED.md").read_text(), re.M
    )
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.suffix not in {".md", ".txt"}
    }
    assert files == dict(lines)


def test_charts_speak_the_version_of_plotly_for_python() -> None:
    from plotly.offline import get_plotlyjs_version

    assert (VENDOR / f"plotly-cartesian-{get_plotlyjs_version()}.min.js").exists()


def test_scripts_build_no_code_from_text() -> None:
    """`script-src 'self'` forbids it; Function.prototype.bind's polyfill never runs."""
    builds_code = re.compile(r"\bnew Function\b|(?<![\w.])(?:eval|Function)\((?!\"binder\")")
    for path in VENDOR.glob("*.js"):
        assert builds_code.findall(path.read_text()) == [], path.name


def test_icons_in_templates_exist() -> None:
    symbols = set(
        re.findall(r'<symbol id="([\w-]+)"', next(VENDOR.glob("tabler-icons*.svg")).read_text())
    )
    used = set()
    for template in (settings.ROOT / "templates").rglob("*.html"):
        used |= set(re.findall(r'{% icon "([\w-]+)"', template.read_text()))
    assert used
    assert used <= symbols
