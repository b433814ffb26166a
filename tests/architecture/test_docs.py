"""Documentation is part of the change: what a person can meet has a heading."""

import ast
from pathlib import Path

import pipeline.errors
from pipeline.contracts.kinds import RUN_KINDS
from pipeline.errors import WARNING_CODES, PipelineError

ROOT = Path(__file__).resolve().parents[2]


def headings(name: str, section: str | None = None) -> list[str]:
    """All headings of a page, or those below one of its second-level headings."""
    found: list[str] = []
    inside = ""
    for line in (ROOT / "docs" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            title = line.lstrip("#").strip()
            inside = title if line.startswith("## ") else inside
            if section in (None, inside):
                found.append(title)
    return found


def warning_codes_in_use() -> set[str]:
    """The first argument of every call of `.warn(...)` in the pipeline."""
    calls = [
        node
        for path in (ROOT / "pipeline").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "warn"
    ]
    return {ast.literal_eval(call.args[0]) for call in calls}


def error_codes() -> set[str]:
    classes = [value for value in vars(pipeline.errors).values() if isinstance(value, type)]
    return {code for cls in classes if issubclass(cls, PipelineError) for code in cls.codes}


def test_every_code_has_one_heading_and_every_heading_a_code() -> None:
    documented = [heading for heading in headings("errors.md") if "." in heading]
    assert sorted(documented) == sorted([*error_codes(), *WARNING_CODES])


def test_the_section_of_warnings_lists_what_the_pipeline_warns_of() -> None:
    documented = {heading for heading in headings("errors.md", "Warnings") if "." in heading}
    assert documented == WARNING_CODES == warning_codes_in_use()


def test_every_error_code_stands_in_the_tree() -> None:
    tree = pipeline.errors.__doc__ or ""
    assert {code for code in error_codes() if code not in tree} == set()


def test_every_run_kind_has_a_recipe_module() -> None:
    recipes = {path.stem for path in (ROOT / "pipeline/recipes").glob("*.py")} - {"__init__"}
    assert recipes == {*RUN_KINDS, "plan"}
