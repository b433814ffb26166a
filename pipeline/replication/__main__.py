"""The paper's claims measured on the demonstration data, in parts and over several seeds.

    python -m pipeline.replication run [--full | --only PART...] [--base NAME|PATH]
                                       [--chinese-base NAME|PATH] [--dir var/replication]
    python -m pipeline.replication document

`run` executes the plan of the parts and goes on where it was when it is started again; what is
finished stands in `docs/replication_summary.json` and `docs/results.md`. `document` writes the page
from the summary.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import durable
from pipeline.contracts.codec import canonical_json
from pipeline.contracts.references import Reference
from pipeline.contracts.specs import PlanSpec
from pipeline.demo.base_model import SMOLLM2, prepare_base_model
from pipeline.demo.data_files import DemonstrationData
from pipeline.errors import PipelineError
from pipeline.replication.arms import Setting
from pipeline.replication.document import DATA_DIR, as_document
from pipeline.replication.parts import PART_OF, PARTS, Part
from pipeline.replication.plan import expected_seconds, report_of
from pipeline.replication.results import ReplicationSummary
from pipeline.terminal import duration

ROOT = Path(__file__).resolve().parents[2]
logger = logging.getLogger("pipeline.replication")
_CHINESE_BASE = (
    "the Chinese row needs a base model that speaks Chinese: CHINESE_BASE=/path/to/model, or "
    "CHINESE_BASE=gemma3-270m, fetched on your request (docs/demonstration.md has its licence)"
)


def main(argv: list[str] | None = None) -> int:
    """The exit status of the replication."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("pipeline").setLevel(logging.INFO)
    try:
        return int(arguments.command(arguments))
    except PipelineError as exc:
        print(f"error[{exc.code}]: {exc}", file=sys.stderr)
        return exc.exit_status


def _run(arguments: argparse.Namespace) -> int:
    parts = _chosen(arguments)
    for lang, base in (("en", arguments.base), ("zh", arguments.chinese_base)):
        spoken = [part for part in parts if part.lang == lang]
        if spoken and base is None:
            print(f"left out: {_CHINESE_BASE}", file=sys.stderr)
        elif spoken:
            status = _run_parts(spoken, lang, base, arguments)
            if status != 0:
                return status
    return 0


def _chosen(arguments: argparse.Namespace) -> list[Part]:
    if arguments.only:
        return [part for part in PARTS if part.key in arguments.only]
    return [part for part in PARTS if part.is_default or arguments.full]


def _run_parts(parts: Sequence[Part], lang: str, base: str, arguments: argparse.Namespace) -> int:
    from pipeline.provenance import path_digest
    from pipeline.replication.replicate import replicate

    directory = arguments.dir.resolve()
    # It may be the first to make the platform's data directory, which nobody else may enter; what
    # it writes into the repository is not data.
    mask = os.umask(0o077)
    model = prepare_base_model(base, directory.parent / "models")
    # With its digest, so that steps of another model are never kept.
    reference = Reference(path=str(model), digest=path_digest(model))
    setting = Setting(data=DemonstrationData(DATA_DIR, lang), base=reference)
    status, found = replicate(parts, setting, directory / lang, _run_plan)
    os.umask(mask)
    summary = ReplicationSummary.in_file(arguments.summary).with_parts(found)
    durable.write_bytes(arguments.summary, summary.as_json.encode())
    _write_document(arguments)
    unfinished = [part.key for part in parts if part.key not in found]
    print(f"results: {arguments.document}")
    if unfinished:
        print(f"unfinished: {', '.join(unfinished)}; run the same command again to go on")
    return status


def _run_plan(plan: PlanSpec, plan_dir: Path) -> int:
    from pipeline.__main__ import main as pipeline_main

    ahead = [step for step in plan.steps if report_of(plan_dir, step.id) is None]
    logger.info(
        "%d steps, %d of them finished; the others take about %s on two cores",
        len(plan.steps),
        len(plan.steps) - len(ahead),
        duration(expected_seconds(ahead)),
    )
    plan_dir.mkdir(parents=True, exist_ok=True)
    request = plan_dir / "request.json"
    request.write_bytes(canonical_json(plan))
    return pipeline_main(["run", str(request), "--run-dir", str(plan_dir), "--replace"])


def _document(arguments: argparse.Namespace) -> int:
    _write_document(arguments)
    return 0


def _write_document(arguments: argparse.Namespace) -> None:
    page = as_document(ReplicationSummary.in_file(arguments.summary))
    durable.write_bytes(arguments.document, page.encode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.replication", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--summary", type=Path, default=ROOT / "docs/replication_summary.json")
    shared.add_argument("--document", type=Path, default=ROOT / "docs/results.md")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", parents=[shared], help="run parts, or go on with them")
    chosen = run.add_mutually_exclusive_group()
    chosen.add_argument("--full", action="store_true", help="every part, not only the default ones")
    chosen.add_argument("--only", nargs="+", choices=tuple(PART_OF), metavar="PART")
    run.add_argument("--base", default=SMOLLM2.name)
    run.add_argument("--chinese-base", help=_CHINESE_BASE)
    run.add_argument("--dir", type=Path, default=ROOT / "var/replication")
    run.set_defaults(command=_run)
    document = commands.add_parser("document", parents=[shared], help="write the page alone")
    document.set_defaults(command=_document)
    return parser


if __name__ == "__main__":
    sys.exit(main())
