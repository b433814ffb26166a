"""Lossless certificates: checked against our own records when a run is taken in, then signed.

The run wrote them and may be wrong, or lie. What we know ourselves is compared: which run it was,
what it was asked, and the digests that the registry and the data sets had before it started. The
counts are the run's own word, and stand in its report too.
"""

import logging
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from pipeline.contracts.certificate import (
    MAX_CERTIFICATE_BYTES,
    AnyCertificate,
    LosslessCertificate,
    SignedCertificate,
    certificate_file,
    differences_from_spec,
    read_certificate,
)
from pipeline.contracts.codec import digest
from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.decoding_spec import ArmBase, SpeculativeDecodeSpec
from pipeline.contracts.manifest import file_sha256
from pipeline.contracts.references import DatasetRef, Reference
from pipeline.contracts.reports import Report
from pipeline.errors import CertificateError
from studio.datasets.examples import example_path, example_stems
from studio.datasets.models import DatasetVersion
from studio.registry.models import Certificate, Checkpoint, stored_path
from studio.registry.signing import public_key, sign
from studio.runs.documents import run_document
from studio.runs.inputs import run_output
from studio.runs.models import Run
from studio.runs.paths import attempt_dir, is_linked

logger = logging.getLogger(__name__)

OUTPUT = "certificates"
MAX_SHOWN = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownCertificate:
    """A certificate as the page of a checkpoint has it."""

    stored: Certificate
    certificate: LosslessCertificate
    is_of_target: bool
    """The checkpoint is what was decoded; otherwise it drafted."""
    is_signed_by_todays_key: bool


def publish_certificates(run: Run, report: Report) -> None:
    """What the run certified is kept, signed where it agrees with our records."""
    spec, results = run_document(run).spec, report.results
    output = report.outputs.get(OUTPUT)
    if (
        not isinstance(spec, SpeculativeDecodeSpec)
        or not isinstance(results, SpeculativeDecodeResults)
        or output is None
    ):
        return
    directory = attempt_dir(run.pk, run.attempt) / output.path
    for arm in spec.arms:
        try:
            certificate = _as_written(directory / f"{arm.name}.json", results, arm.name)
        except (OSError, CertificateError) as exc:
            logger.warning("run %s: no certificate of the arm %s: %s", run.pk, arm.name, exc)
            continue
        _keep(run, report, results, spec, arm, certificate)


def certificates_of(found: Checkpoint) -> list[ShownCertificate]:
    """Of the checkpoint as a target or a draft, newest first; one that is damaged is left out."""
    stored = list(found.certificates.select_related("run").order_by("-pk")[:MAX_SHOWN])
    if not stored:
        return []
    todays = signing_key_id()
    shown = []
    for one in stored:
        try:
            certificate = _inner(read_certificate(one.document.encode()))
        except CertificateError as exc:
            logger.warning("certificate %s cannot be read: %s", one.pk, exc)
            continue
        shown.append(
            ShownCertificate(
                stored=one,
                certificate=certificate,
                is_of_target=certificate.target == found.digest,
                is_signed_by_todays_key=one.key_id == todays,
            )
        )
    return shown


def signing_key_id() -> str:
    """Of the key that signs today; empty where it cannot be used."""
    try:
        return public_key()[0]
    except (OSError, ValueError):
        logger.exception("the signing key cannot be used")
        return ""


def _as_written(path: Path, results: SpeculativeDecodeResults, arm: str) -> LosslessCertificate:
    """The certificate that the report names.

    Raises:
        CertificateError, OSError: there is no such file of that content.
    """
    named = results.certificates.get(arm)
    certificate = read_certificate(_content(path))
    if (
        not isinstance(certificate, LosslessCertificate)
        or named is None
        or digest(certificate) != named.digest
    ):
        raise CertificateError("certificate.invalid", f"{path} is not what the report names")
    return certificate


def _content(path: Path) -> bytes:
    """Of a file that a child has written: an ordinary one, reached through no link."""
    if is_linked(str(path)):
        raise OSError(f"{path} is reached through a link")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a file")
        return file.read(MAX_CERTIFICATE_BYTES + 1)


def _keep(
    run: Run,
    report: Report,
    results: SpeculativeDecodeResults,
    spec: SpeculativeDecodeSpec,
    arm: ArmBase,
    certificate: LosslessCertificate,
) -> None:
    named = dict(_named(spec, arm))
    recorded = {name: _record(run, reference) for name, reference in named.items()}
    stated = _stated(certificate)
    differs_in = [
        *differences_from_spec(certificate, spec, arm),
        *_differences_from_report(run, report, results, certificate),
        *(name for name, one in recorded.items() if one and one.digest != stated.get(name)),
    ]
    unknown = [name for name, one in recorded.items() if one is None]
    document, key_id = certificate_file(certificate), ""
    if not differs_in and not unknown:
        try:
            signed = sign(certificate)
        except (OSError, ValueError):
            logger.exception("run %s: the signing key cannot be used", run.pk)
        else:
            document, key_id = certificate_file(signed), signed.signature.key_id
    kept = Certificate.objects.create(
        project_id=run.project_id,
        run=run,
        arm=arm.name,
        document=document.decode(),
        key_id=key_id,
        differs_in=differs_in,
        unknown=unknown,
    )
    kept.checkpoints.set({one.checkpoint for one in recorded.values() if one and one.checkpoint})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    """What we know of an input from before the run."""

    digest: str
    checkpoint: Checkpoint | None = None


def _named(spec: SpeculativeDecodeSpec, arm: ArmBase) -> Iterator[tuple[str, Reference]]:
    """What the certificate gives digests of, by the names it has for them."""
    yield "target", spec.target
    for field, reference in arm.references().items():
        yield f"arm_inputs.{field}", reference
    yield "prompts.dataset_digest", spec.prompts


def _stated(certificate: LosslessCertificate) -> Mapping[str, str]:
    return {
        "target": certificate.target,
        "prompts.dataset_digest": certificate.prompts.dataset_digest,
    } | {f"arm_inputs.{field}": value for field, value in certificate.arm_inputs.items()}


def _record(run: Run, reference: Reference) -> _Record | None:
    """None where only the run has seen what is there."""
    path = Path(reference.resolved_path)
    if isinstance(reference, DatasetRef):
        known = _dataset_digest(run, path)
        return _Record(digest=known) if known else None
    checkpoint = Checkpoint.objects.filter(project=run.project_id, path=stored_path(path)).first()
    if checkpoint is not None:
        known = checkpoint.digest
    else:  # answers of a target, written by an earlier run
        output = run_output(run.project, reference.resolved_path)
        known = (output.digest if output else None) or ""
    return _Record(digest=known, checkpoint=checkpoint) if known else None


def _dataset_digest(run: Run, path: Path) -> str:
    if path in {example_path(stem, lang) for stem, lang in example_stems()}:
        return file_sha256(path)
    data_dir = Path(settings.STUDIO_DATA_DIR)
    if not path.is_relative_to(data_dir):
        return ""
    stored = path.relative_to(data_dir).as_posix()
    version = (
        DatasetVersion.objects.filter(dataset__project=run.project_id, path=stored)
        .defer("manifest")
        .first()
    )
    return version.digest if version else ""


def _differences_from_report(
    run: Run, report: Report, results: SpeculativeDecodeResults, certificate: LosslessCertificate
) -> Iterator[str]:
    """The report is the run's word too, so this finds what is wrong, not what is a lie."""
    checked = results.losslessness
    arm = certificate.arm_name
    pairs = (
        ("spec_digest", certificate.spec_digest, run.spec_digest),
        ("code_version", certificate.code_version, report.code_version),
        ("losslessness", certificate.losslessness, checked and checked.arms.get(arm)),
        (
            "autoregressive_batch_1_vs_8",
            certificate.autoregressive_batch_1_vs_8,
            checked and checked.autoregressive_batch_1_vs_8,
        ),
    )
    for name, stated, reported in pairs:
        if stated != reported:
            yield name


def _inner(found: AnyCertificate) -> LosslessCertificate:
    return found.certificate if isinstance(found, SignedCertificate) else found
