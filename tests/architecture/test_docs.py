"""Documentation is part of the change: what a person can meet has a heading."""

from pathlib import Path

import pipeline.errors
from pipeline.contracts.specs import RUN_KINDS
from pipeline.errors import PipelineError

ROOT = Path(__file__).resolve().parents[2]


def headings(name: str) -> set[str]:
    lines = (ROOT / "docs" / name).read_text(encoding="utf-8").splitlines()
    return {line.lstrip("#").strip() for line in lines if line.startswith("#")}


def error_codes() -> set[str]:
    classes = [value for value in vars(pipeline.errors).values() if isinstance(value, type)]
    return {code for cls in classes if issubclass(cls, PipelineError) for code in cls.codes}


def test_every_error_code_has_a_heading_and_every_heading_a_code() -> None:
    documented = {heading for heading in headings("errors.md") if "." in heading}
    assert documented == error_codes()


def test_every_error_code_stands_in_the_tree() -> None:
    tree = pipeline.errors.__doc__ or ""
    assert {code for code in error_codes() if code not in tree} == set()


def test_every_run_kind_has_a_recipe_module() -> None:
    recipes = {path.stem for path in (ROOT / "pipeline/recipes").glob("*.py")} - {"__init__"}
    assert recipes == {*RUN_KINDS, "plan"}
