"""The pipeline as a program.

    python -m pipeline run SPEC.json --run-dir DIR     execute a run or a plan
    python -m pipeline validate SPEC.json              check it without running
    python -m pipeline schema [--markdown]             JSON Schema of every spec
    python -m pipeline digest PATH ...                 SHA-256 that names a file or a model
    python -m pipeline probe SPEC.json                 predicted speedups, before any benchmark
    python -m pipeline rescore SAMPLES --profile NAME  stored answers under another profile
    python -m pipeline certify CERTIFICATE ...         run a lossless certificate again
    python -m pipeline verify-certificate FILE         check who signed one

Exit status: 0 succeeded, 75 stopped at a checkpoint on request (run it again to go on), 2 a wrong
spec, others failed; `docs/errors.md` lists them. The error's code is in the last event and on
stderr.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
from pathlib import Path

from pipeline.contracts.decoding_spec import SpeculativeDecodeSpec
from pipeline.contracts.documents import SpecDocument, read_spec
from pipeline.contracts.plans import execution_order
from pipeline.contracts.rescoring import PROFILE_NAMES
from pipeline.contracts.specs import AnySpec, PlanSpec, spec_schema
from pipeline.errors import PipelineError, SpecError
from pipeline.launch import require_one_process
from pipeline.provenance import path_digest
from pipeline.run_command import execute_run
from pipeline.spec_page import spec_page


def main(argv: list[str] | None = None) -> int:
    """The exit status of one command line."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        return int(arguments.command(arguments))
    except PipelineError as exc:
        # On a full disk stderr may be a file that takes no more: the status still says why.
        with contextlib.suppress(OSError):
            print(f"error[{exc.code}]: {exc}", file=sys.stderr)
        return exc.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="execute a run or a plan")
    run.add_argument("spec", type=Path)
    run.add_argument("--run-dir", type=Path, required=True)
    run.add_argument("--run-id", help="identifies the run in its events (default: directory name)")
    run.add_argument("--attempt", type=int, default=1)
    run.add_argument("--resume-from", type=Path, help="checkpoint directory to continue from")
    run.add_argument(
        "--replace", action="store_true", help="empty a run directory that holds another spec"
    )
    run.set_defaults(command=_run_command)
    validate = commands.add_parser("validate", help="check a spec without running it")
    validate.add_argument("spec", type=Path)
    validate.set_defaults(command=_validate_command)
    schema = commands.add_parser("schema", help="JSON Schema of every spec")
    schema.add_argument("--markdown", action="store_true", help="docs/specs.md instead")
    schema.set_defaults(command=_schema_command)
    digest = commands.add_parser("digest", help="SHA-256 of files and model directories")
    digest.add_argument("paths", type=Path, nargs="+")
    digest.set_defaults(command=_digest_command)
    probe = commands.add_parser("probe", help="predicted speedups of a decoding benchmark's arms")
    probe.add_argument("spec", type=Path)
    probe.add_argument("--json", action="store_true", help="one JSON object instead of a text")
    probe.set_defaults(command=_probe_command)
    rescore = commands.add_parser("rescore", help="stored answers under another profile")
    rescore.add_argument("samples", type=Path, help="samples.parquet of an evaluation")
    rescore.add_argument("--profile", choices=PROFILE_NAMES, required=True)
    rescore.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    rescore.add_argument("--answers", type=Path, help="also write each answer's scores and flags")
    rescore.set_defaults(command=_rescore_command)
    certify = commands.add_parser("certify", help="run a lossless certificate again")
    certify.add_argument("certificate", type=Path)
    certify.add_argument("--target", type=Path, required=True, help="the model that was decoded")
    certify.add_argument(
        "--draft",
        action="append",
        default=[],
        metavar="[FIELD=]PATH",
        help="what the arm drafts with, once for each model it names; none for lookup",
    )
    certify.add_argument("--prompts", type=Path, required=True, help="the data file")
    certify.set_defaults(command=_certify_command)
    verify = commands.add_parser("verify-certificate", help="check who signed a certificate")
    verify.add_argument("certificate", type=Path)
    verify.add_argument("--public-key", type=Path, help="the platform's key, a PEM file")
    verify.set_defaults(command=_verify_command)
    return parser


def _read_spec(path: Path) -> SpecDocument[AnySpec]:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise SpecError("spec.invalid", f"cannot read {path}: {exc.strerror}") from exc
    document = read_spec(content)
    if isinstance(document.spec, PlanSpec):
        execution_order(document.spec)
    return document


def _validate_command(arguments: argparse.Namespace) -> int:
    document = _read_spec(arguments.spec)
    print(json.dumps({"kind": document.spec.kind, "digest": document.digest}))
    return 0


def _schema_command(arguments: argparse.Namespace) -> int:
    if arguments.markdown:
        print(spec_page(), end="")
    else:
        print(json.dumps(spec_schema(), indent=2, ensure_ascii=False))
    return 0


def _digest_command(arguments: argparse.Namespace) -> int:
    for path in arguments.paths:
        print(f"{path_digest(path)}  {path}", flush=True)
    return 0


def _probe_command(arguments: argparse.Namespace) -> int:
    require_one_process(os.environ)
    document = _read_spec(arguments.spec)
    if not isinstance(document.spec, SpeculativeDecodeSpec):
        raise SpecError(
            "spec.invalid",
            f"{arguments.spec} is a spec of {document.spec.kind}; only speculative_decode can be "
            "probed",
        )
    from pipeline.probe_command import probe_text

    print(probe_text(document.spec, document.digest, as_json=arguments.json))
    return 0


def _rescore_command(arguments: argparse.Namespace) -> int:
    # The libraries that score take seconds to import, and the other commands need none of them.
    from pipeline.rescore_command import rescore

    text = rescore(
        arguments.samples,
        arguments.profile,
        answers_file=arguments.answers,
        as_json=arguments.json,
    )
    print(text)
    return 0


def _certify_command(arguments: argparse.Namespace) -> int:
    from pipeline.certificate_command import certify

    require_one_process(os.environ)
    print(certify(arguments.certificate, arguments.target, arguments.draft, arguments.prompts))
    return 0


def _verify_command(arguments: argparse.Namespace) -> int:
    from pipeline.certificate_command import verify

    print(verify(arguments.certificate, arguments.public_key))
    return 0


def _run_command(arguments: argparse.Namespace) -> int:
    require_one_process(os.environ)
    return execute_run(
        _read_spec(arguments.spec),
        run_dir=arguments.run_dir.resolve(),
        run_id=arguments.run_id,
        attempt=arguments.attempt,
        resume_from=arguments.resume_from,
        replace=arguments.replace,
    )


if __name__ == "__main__":
    sys.exit(main())
