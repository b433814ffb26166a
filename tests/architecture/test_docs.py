"""Documentation is part of the change: what a person can meet has a heading."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pipeline.errors
from bench.protocol import names as benchmark_names
from pipeline.contracts.base import Contract
from pipeline.contracts.dataset_revisions import ReviseDatasetResults
from pipeline.contracts.estimates import Estimate, PairedFigure
from pipeline.contracts.evaluation_results import BenchmarkFigure, BenchmarkFigureName
from pipeline.contracts.import_results import ImportCheckpointResults, ImportDatasetResults
from pipeline.contracts.kinds import RUN_KINDS, RunResults
from pipeline.contracts.quality_checks import (
    CHECK_CODES,
    CheckDatasetResults,
    MaskDatasetResults,
)
from pipeline.contracts.samples import MEASURES
from pipeline.contracts.token_preview import PreviewTokensResults
from pipeline.contracts.verdicts import Verdict
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


def calls(path: Path) -> Iterator[tuple[str, list[ast.expr]]]:
    """Name of the function or method, and its arguments, for each call in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name, node.args


def environment_variables(path: Path) -> set[str]:
    """Constants in capitals that a module hands to a function, as names of variables are."""
    constants = (
        argument.value
        for name, arguments in calls(path)
        for argument in arguments[:1]
        if isinstance(argument, ast.Constant)
        and name in {"get", "_flag", "_positive_number", "_choice"}
    )
    return {text for text in constants if isinstance(text, str) and text.isupper()}


def make_variables() -> set[str]:
    """What the Makefile reads, itself or in a script it calls, and does not set for good."""
    text = (ROOT / "Makefile").read_text()
    names = set(re.findall(r"\$\(([A-Z_]+)\)", text))
    for line in re.findall(r"^export ([A-Z_ ]+)$", text, re.MULTILINE):
        names |= set(line.split())
    return names - set(re.findall(r"^([A-Z_]+) :=", text, re.MULTILINE))


def test_every_setting_has_one_heading_and_every_heading_a_setting() -> None:
    platform = environment_variables(ROOT / "platform/studio/environment.py")
    tests = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in environment_variables(path)
        if name.startswith("STUDIO_TEST_")
    }
    assert sorted(headings("settings.md", "Platform")) == sorted(["Platform", *platform])
    assert sorted(headings("settings.md", "Make")) == sorted(["Make", *make_variables()])
    assert sorted(headings("settings.md", "Tests")) == sorted(["Tests", *tests])


def subcommands(module: str) -> list[str]:
    """What `python -m <module>` understands."""
    path = ROOT / module.replace(".", "/") / "__main__.py"
    return [
        ast.literal_eval(arguments[0]) for name, arguments in calls(path) if name == "add_parser"
    ]


def test_every_command_has_one_heading_and_every_heading_a_command() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    management = (ROOT / "platform/studio").glob("*/management/commands/[a-z]*.py")
    expected = {
        "make": phony[1].split(),
        "manage.py": [path.stem for path in management],
        "python -m pipeline": subcommands("pipeline"),
        "python -m pipeline.demo": subcommands("pipeline.demo"),
        "python -m pipeline.replication": subcommands("pipeline.replication"),
        "python -m bench": benchmark_names(),
    }
    for program, commands in expected.items():
        documented = [f"{program} {command}" for command in commands]
        assert sorted(headings("commands.md", program)) == sorted([program, *documented])


def types_in(annotation: object) -> Iterator[type]:
    """The classes an annotation is made of."""
    arguments = get_args(annotation)
    if not arguments and isinstance(annotation, type):
        yield annotation
    for argument in arguments:
        yield from types_in(argument)


def figures_of(model: type[Contract]) -> set[str]:
    """Fields of results that hold a figure, with those of their parts; mappings have their keys."""
    found = set()
    for name, field in model.model_fields.items():
        parts = set(types_in(field.annotation))
        if name != "figures" and parts & {float, Estimate, PairedFigure, Verdict}:
            found.add(name)
        for part in parts - {Estimate, BenchmarkFigure}:
            if issubclass(part, Contract):
                found |= figures_of(part)
    return found


def test_every_figure_has_one_heading_and_every_heading_figures_that_are_there() -> None:
    """In docs/metrics.md the line "Keys:" below a heading says which figures it defines."""
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    lines = re.findall(r"^- Keys: (.+)$", text, re.MULTILINE)
    documented = [key for line in lines for key in re.findall(r"`(\w+)`", line)]
    about_data = {
        ImportDatasetResults,
        ImportCheckpointResults,
        CheckDatasetResults,
        MaskDatasetResults,
        PreviewTokensResults,
        ReviseDatasetResults,
    }
    results = set(get_args(RunResults)) - about_data
    expected = {measure.key for measure in MEASURES}.union(*map(figures_of, results))
    expected |= set(get_args(BenchmarkFigureName))
    assert sorted(documented) == sorted(expected)


def test_every_check_has_one_heading_and_every_heading_a_check() -> None:
    documented = [heading for heading in headings("data_quality.md") if "." in heading]
    assert sorted(documented) == sorted(CHECK_CODES)


def test_every_file_that_contributing_names_is_there() -> None:
    named = re.findall(r"`([\w./*<>]+/[\w./*<>]*)`", (ROOT / "CONTRIBUTING.md").read_text())
    wanted = {path for path in named if "<" not in path}
    assert {path for path in wanted if not list(ROOT.glob(path))} == set()
    assert len(wanted) > 30
