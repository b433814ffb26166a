"""What a reader of specs finds: a page made from the code, and a document of each kind."""

import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.contracts.kinds import RUN_KINDS
from pipeline.contracts.specs import parse_spec

ROOT = Path(__file__).resolve().parents[2]
KINDS = (*RUN_KINDS, "plan")
SPECS = ROOT / "examples/specs"


def test_the_page_of_specs_is_the_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--markdown"]) == 0
    written = (ROOT / "docs/specs.md").read_text(encoding="utf-8")
    assert written == capsys.readouterr().out, "docs/specs.md is stale: make docs"


def test_the_page_explains_fields_by_the_texts_in_the_source() -> None:
    page = (ROOT / "docs/specs.md").read_text(encoding="utf-8")
    kinds = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    assert set(kinds) == {*KINDS, "Parts"}
    assert (
        "| `num_tokens` | integer, at least 1 |  | Budget of non-padding training tokens. |" in page
    )
    assert "A label for people; part of the digest" in page, "inherited fields have their text too"


def test_every_kind_has_an_example() -> None:
    assert {path.stem for path in SPECS.glob("*.json")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_is_a_valid_spec_on_data_that_is_there(kind: str) -> None:
    document = (SPECS / f"{kind}.json").read_text(encoding="utf-8")
    assert parse_spec(document).kind == kind
    named = list(paths_in(json.loads(document)))
    assert named
    missing = [
        path for path in named if path.startswith("examples/") and not (ROOT / path).exists()
    ]
    assert missing == []


def paths_in(value: object) -> list[str]:
    """Every `path` of a document."""
    if isinstance(value, dict):
        own = [text for key, text in value.items() if key == "path"]
        return own + [path for item in value.values() for path in paths_in(item)]
    if isinstance(value, list):
        return [path for item in value for path in paths_in(item)]
    return []
