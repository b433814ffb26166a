"""The lossless certificate of one arm: what was compared with what, and how it came out.

A run of `speculative_decode` writes one file for each arm. The platform signs it when it takes the
run in. A file holds the canonical JSON of its contract and a line feed, and nothing else: another
spelling of the same values (spaces, a key twice) is another file and is refused.
"""

import json
from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, JsonValue, ValidationError, field_validator, model_validator

from pipeline.contracts.base import Contract, describe_validation_error
from pipeline.contracts.codec import canonical_bytes, canonical_json
from pipeline.contracts.decoding_results import LosslessnessCounts
from pipeline.contracts.decoding_spec import ArmBase, SpeculativeDecodeSpec
from pipeline.contracts.fields import DtypeName, PositiveInt
from pipeline.contracts.references import RowFilter, Sha256
from pipeline.contracts.sampling_test import SamplingTest
from pipeline.contracts.storable import unstorable_texts
from pipeline.errors import CertificateError

MAX_CERTIFICATE_BYTES = 1 << 20
PLACE_FIELDS = frozenset({"path", "from_step", "output", "digest"})
"""Fields of a reference that say where something is, not how it is used."""

JsonObject = dict[str, JsonValue]


class CertifiedPrompts(Contract):
    """The prompts whose answers were compared."""

    dataset_digest: Sha256
    """Of the data file, as `pipeline.data.datasets.dataset_digest` has it."""
    encoding: Literal["utf-8", "gb18030"]
    where: tuple[RowFilter, ...]
    limit: int | None
    num_prompts: PositiveInt
    token_digest: Sha256
    """SHA-256 of the canonical JSON of the prompts' token ids, in order."""


class DecodingSettings(Contract):
    """How answers were chosen and drafted, one prompt at a time."""

    num_speculative_tokens: PositiveInt | None
    """Draft length; None where the arm has none."""
    max_new_tokens: PositiveInt
    temperature: float = Field(ge=0)
    seed: int = Field(ge=0)


class LosslessCertificate(Contract):
    """One arm's answers against the target's own, and everything that decides them."""

    kind: Literal["lossless_certificate"] = "lossless_certificate"
    schema_version: Literal[1, 2] = 2
    """1: from before sampled answers were tested; such a certificate keeps its bytes."""
    target: Sha256
    arm: JsonObject
    """The arm as its spec describes it; of what it names, only how it is used."""
    arm_inputs: dict[str, Sha256]
    """Digest of everything the arm names, by its field; empty for lookup."""
    engine: Literal["torch", "vllm"]
    decoding: str = Field(max_length=300)
    """What computes the forward pass in that engine: our kernel by its name, or transformers."""
    dtype: DtypeName
    device: Literal["cpu", "cuda"]
    settings: DecodingSettings
    prompts: CertifiedPrompts
    losslessness: LosslessnessCounts
    autoregressive_batch_1_vs_8: LosslessnessCounts
    """What rounding alone does to plain decoding of the same prompts."""
    sampling_test: Literal["not_run"] | SamplingTest
    """Of sampled answers; a word in version 1, which never tested them."""
    spec_digest: Sha256
    """Identifies the run that wrote it."""
    code_version: str = Field(max_length=100)
    libraries: dict[str, str]
    """Versions of Python and of the packages that decode."""
    processor: str = Field(max_length=300)
    num_threads: PositiveInt
    date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    """Day in UTC."""

    @field_validator("arm")
    @classmethod
    def _has_a_name(cls, arm: JsonObject) -> JsonObject:
        if any(not isinstance(arm.get(key), str) for key in ("name", "method")):
            raise ValueError("an arm has a `name` and a `method`")
        return arm

    @model_validator(mode="after")
    def _says_what_its_version_can(self) -> Self:
        if (self.schema_version == 1) != (self.sampling_test == "not_run"):
            raise ValueError("sampling_test: a word in schema_version 1, an object in 2")
        return self

    @property
    def arm_name(self) -> str:
        """The arm's name in its run."""
        return str(self.arm["name"])


class Signature(Contract):
    """An Ed25519 signature (RFC 8032) over the canonical JSON of a certificate."""

    algorithm: Literal["ed25519"] = "ed25519"
    key_id: Sha256
    """SHA-256 of the 32 bytes of the public key."""
    public_key: str = Field(pattern=r"^[0-9a-f]{64}$")
    value: str = Field(pattern=r"^[0-9a-f]{128}$")


class SignedCertificate(Contract):
    """A certificate that a platform vouches for, with the key to check it by."""

    kind: Literal["signed_lossless_certificate"] = "signed_lossless_certificate"
    schema_version: Literal[1] = 1
    certificate: LosslessCertificate
    signature: Signature


AnyCertificate = LosslessCertificate | SignedCertificate
_SIGNED_KIND = SignedCertificate.model_fields["kind"].default
_KINDS = (LosslessCertificate.model_fields["kind"].default, _SIGNED_KIND)


def certificate_file(certificate: AnyCertificate) -> bytes:
    """The bytes of the certificate's file."""
    return canonical_json(certificate) + b"\n"


def read_certificate(content: bytes) -> AnyCertificate:
    """The certificate in a file, signed or not; no signature is checked here.

    Raises:
        CertificateError: `certificate.invalid`; the message says what is wrong.
    """
    if len(content) > MAX_CERTIFICATE_BYTES:
        raise _invalid(f"it has {len(content)} bytes, and none has over {MAX_CERTIFICATE_BYTES}")
    try:
        document = json.loads(content)
        canonical = canonical_bytes(document) + b"\n"
    except (ValueError, RecursionError) as exc:
        raise _invalid(f"it is not whole JSON in UTF-8 ({exc})") from exc
    if not isinstance(document, dict) or document.get("kind") not in _KINDS:
        raise _invalid(f"its `kind` is none of {', '.join(_KINDS)}")
    if content != canonical:
        raise _invalid(
            "it is not the canonical JSON that was written: a key stands there twice, or spaces, "
            "order or spelling were changed. Get the file again"
        )
    if any(unstorable_texts(document)):
        raise _invalid("a text holds a NUL")
    try:
        if document["kind"] == _SIGNED_KIND:
            return SignedCertificate.model_validate_json(content)
        return LosslessCertificate.model_validate_json(content)
    except ValidationError as exc:
        raise _invalid(describe_validation_error(exc)) from exc


def arm_description(arm: ArmBase) -> JsonObject:
    """The arm without the places and digests of what it names."""
    described: JsonObject = arm.model_dump(mode="json")
    for field in arm.references():
        node = described[field]
        assert isinstance(node, dict)  # noqa: S101 (a reference is an object)
        described[field] = {name: node[name] for name in node if name not in PLACE_FIELDS}
    return described


def differences_from_spec(
    certificate: LosslessCertificate, spec: SpeculativeDecodeSpec, arm: ArmBase
) -> Iterator[str]:
    """Dotted names of what the certificate states otherwise than the spec of its run asked.

    What the spec left open (an engine or device `auto`, a draft length) may be anything.
    """
    settings = certificate.settings
    prompts = certificate.prompts
    pairs = (
        ("arm", certificate.arm, arm_description(arm)),
        ("arm_inputs", set(certificate.arm_inputs), set(arm.references())),
        ("engine", certificate.engine, spec.engine),
        ("dtype", certificate.dtype, spec.dtype),
        ("device", certificate.device, spec.device),
        (
            "settings.num_speculative_tokens",
            settings.num_speculative_tokens,
            spec.num_speculative_tokens or "auto",
        ),
        ("settings.max_new_tokens", settings.max_new_tokens, spec.max_new_tokens),
        ("settings.temperature", settings.temperature, spec.temperature),
        ("settings.seed", settings.seed, spec.seed),
        ("prompts.encoding", prompts.encoding, spec.prompts.encoding),
        ("prompts.where", prompts.where, spec.prompts.where),
        ("prompts.limit", prompts.limit, spec.prompts.limit),
        ("prompts.num_prompts", prompts.num_prompts, spec.num_prompts),
    )
    for name, stated, asked in pairs:
        if asked not in ("auto", stated):
            yield name


def _invalid(reason: str) -> CertificateError:
    return CertificateError("certificate.invalid", f"this is no certificate: {reason}")
