"""`python -m pipeline certify` and `verify-certificate`: run one again, check who signed it."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from pipeline.contracts.certificate import (
    AnyCertificate,
    JsonObject,
    LosslessCertificate,
    SignedCertificate,
    read_certificate,
)
from pipeline.contracts.codec import canonical_bytes
from pipeline.contracts.documents import SpecDocument, read_run_spec
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.sampling_test import SamplingTestDone
from pipeline.errors import CertificateError, StoppedAtCheckpoint
from pipeline.run_command import execute_run
from pipeline.signatures import read_public_key, verified

CERTIFIED = (
    "target",
    "arm_inputs",
    "arm",
    "engine",
    "dtype",
    "device",
    "settings",
    "prompts",
)
"""Fields that the same inputs and settings must give again."""
COUNTS = ("losslessness", "autoregressive_batch_1_vs_8")
MACHINE_NUMBERS = (
    "largest_gap",
    "num_draft_tokens",
    "num_accepted_tokens",
    "chi_square",
    "p_value",
)
"""Ends of dotted names that rounding may change; the verdicts they lead to are compared."""
CIRCUMSTANCES = ("decoding", "code_version", "libraries", "processor", "num_threads")
"""Fields that may differ, and explain counts that do."""


def certify(path: Path, target: Path, drafts: Sequence[str], prompts: Path) -> str:
    """What the command prints when the run of the certificate came out again as it says.

    Args:
        path: The certificate, signed or not.
        target: Model directory or file.
        drafts: `PATH`, or `FIELD=PATH` where the arm names several things; none for lookup.
        prompts: The data file.

    Raises:
        CertificateError: `certificate.not_reproduced`, a count or digest is another one, all of
            them named; as `read_certificate`, and as `verified` for a signed one.
        PipelineError: of the run; `model.digest_mismatch` and `data.digest_mismatch` where a file
            is not the one of the certificate.
    """
    written = _read(path)
    spec = _spec(written, target, _by_field(written, drafts), prompts)
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        run_dir = Path(folder) / "run"
        status = execute_run(
            spec, run_dir=run_dir, run_id=None, attempt=1, resume_from=None, replace=False
        )
        if status != 0:
            raise StoppedAtCheckpoint("stopped; nothing was compared")
        again = read_certificate(
            (run_dir / "certificates" / f"{written.arm_name}.json").read_bytes()
        )
    assert isinstance(again, LosslessCertificate)  # noqa: S101 (runs sign nothing)
    circumstances = [f"  {line}" for line in _differences(written, again, CIRCUMSTANCES)]
    # Certificates of version 1 say nothing of sampled answers.
    sampling = ("sampling_test",) if written.schema_version > 1 else ()
    certified = (*CERTIFIED, *COUNTS, *sampling)
    found = [f"  {line}" for line in _differences(written, again, certified)]
    if found:
        raise CertificateError(
            "certificate.not_reproduced",
            "\n".join(
                [
                    "the run came out otherwise (certificate -> now):",
                    *found,
                    "what else is different:" if circumstances else "nothing else is different",
                    *circumstances,
                ]
            ),
        )
    lines = [f"reproduced: {_summary(again)}", _sampling(again)]
    if circumstances:
        lines += ["though there were different (certificate -> now):", *circumstances]
    return "\n".join(lines)


def verify(path: Path, public_key: Path | None) -> str:
    """What the command prints when the signature holds.

    Raises:
        CertificateError: as `verified`.
    """
    key = None if public_key is None else read_public_key(public_key)
    signed = verified(_content(path), public_key=key)
    lines = [
        f"the signature holds: {_summary(signed.certificate)}",
        f"target {signed.certificate.target}",
        *(f"{field} {digest}" for field, digest in signed.certificate.arm_inputs.items()),
        _sampling(signed.certificate),
        f"signed by key {signed.signature.key_id}",
    ]
    if key is None:
        lines.append(
            "The key came with the file, so this proves only that nothing was changed since it was "
            "signed. Compare the key's id with the one that the platform shows, or give "
            "--public-key."
        )
    else:
        lines.append("This is the key you gave.")
    return "\n".join(lines)


def _summary(certificate: LosslessCertificate) -> str:
    counts = certificate.losslessness
    verdict = "lossless" if counts.is_lossless else "NOT LOSSLESS"
    return (
        f"arm {certificate.arm_name}, {certificate.engine}, {certificate.dtype}, "
        f"{certificate.device}: {verdict}, {counts.num_identical} of {counts.num_prompts} answers "
        f"identical, {counts.num_near_ties} near ties (plain decoding at batch 1 against 8: "
        f"{certificate.autoregressive_batch_1_vs_8.num_near_ties})"
    )


def _sampling(certificate: LosslessCertificate) -> str:
    tested = certificate.sampling_test
    if isinstance(tested, SamplingTestDone):
        return (
            f"sampled answers: {tested.verdict} with the target's distribution, p "
            f"{tested.p_value:.2g} over {tested.num_tokens} tokens, {tested.num_accepted_tokens} "
            f"of {tested.num_draft_tokens} drafted ones accepted (a right engine fails once in "
            f"{1 / tested.level:.0f} runs)"
        )
    reason = "" if isinstance(tested, str) else f": {tested.reason}"
    return f"sampled answers: not tested{reason}"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise CertificateError(
            "certificate.invalid", f"cannot read {path}: {exc.strerror}"
        ) from exc


def _read(path: Path) -> LosslessCertificate:
    content = _content(path)
    found: AnyCertificate = read_certificate(content)
    if isinstance(found, SignedCertificate):
        return verified(content).certificate
    return found


def _by_field(certificate: LosslessCertificate, drafts: Sequence[str]) -> dict[str, str]:
    """Path by field of the arm."""
    fields = sorted(certificate.arm_inputs)
    given: dict[str, str] = {}
    for text in drafts:
        field, separator, path = text.partition("=")
        is_named = bool(separator) and field in fields
        given |= {field: path} if is_named else dict.fromkeys(fields[:1], text)
    if sorted(given) != fields or len(drafts) != len(fields):
        wanted = " ".join(f"--draft {field}=PATH" for field in fields) or "no --draft"
        raise CertificateError(
            "certificate.invalid",
            f"the arm {certificate.arm_name} needs {wanted}; got {', '.join(drafts) or 'none'}",
        )
    return given


def _spec(
    certificate: LosslessCertificate, target: Path, named: Mapping[str, str], prompts: Path
) -> SpecDocument[RunSpec]:
    """A benchmark of this arm alone, once, on the given files."""
    arm: JsonObject = dict(certificate.arm)
    for field, digest in certificate.arm_inputs.items():
        used = arm.get(field)
        arm[field] = (used if isinstance(used, dict) else {}) | _place(named[field], digest)
    asked, settings = certificate.prompts, certificate.settings
    where: list[JsonValue] = [rule.model_dump(mode="json") for rule in asked.where]
    document: JsonObject = {
        "kind": "speculative_decode",
        "target": _place(target, certificate.target),
        "arms": [arm],
        "prompts": {
            "kind": "domain_test",
            "encoding": asked.encoding,
            "where": where,
            "limit": asked.limit,
            **_place(prompts, asked.dataset_digest),
        },
        "num_prompts": asked.num_prompts,
        "num_repeats": 1,
        "engine": certificate.engine,
        "device": certificate.device,
        "dtype": certificate.dtype,
        **settings.model_dump(mode="json"),
    }
    return read_run_spec(canonical_bytes(document))


def _place(path: Path | str, digest: str) -> dict[str, JsonValue]:
    return {"path": str(Path(path).absolute()), "digest": digest}


def _differences(
    written: LosslessCertificate, again: LosslessCertificate, fields: Sequence[str]
) -> Iterator[str]:
    """A line for each value, by dotted name, but for `MACHINE_NUMBERS`."""
    for field in fields:
        before, now = (
            dict(_leaves(one.model_dump(mode="json")[field], field)) for one in (written, again)
        )
        for name in dict.fromkeys([*before, *now]):
            if before.get(name) != now.get(name) and not name.endswith(MACHINE_NUMBERS):
                yield f"{name}: {before.get(name)} -> {now.get(name)}"


def _leaves(value: JsonValue, name: str) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, f"{name}.{key}")
    else:
        yield name, value
