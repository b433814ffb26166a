"""Checks who signed a lossless certificate; the platform alone makes keys and signs."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pipeline.contracts.certificate import LosslessCertificate, SignedCertificate, read_certificate
from pipeline.contracts.codec import bytes_digest, canonical_json
from pipeline.errors import CertificateError


def key_id(public_key: Ed25519PublicKey) -> str:
    """Names a key: SHA-256 of its 32 bytes, lower-case hexadecimal."""
    return bytes_digest(public_key.public_bytes_raw())


def verified(content: bytes, *, public_key: Ed25519PublicKey | None = None) -> SignedCertificate:
    """The signed certificate in a file, whose signature holds.

    Args:
        content: Bytes of the file.
        public_key: The key that must have signed it; None takes the one in the file, which proves
            only that nothing was changed since.

    Raises:
        CertificateError: `certificate.invalid` for what is no signed certificate,
            `certificate.signature_invalid` for a signature that does not hold, or of another key.
    """
    signed = read_certificate(content)
    if isinstance(signed, LosslessCertificate):
        raise CertificateError(
            "certificate.invalid",
            "the certificate is not signed: it is as its run wrote it, and anybody can write one",
        )
    signature = signed.signature
    named = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.public_key))
    if key_id(named) != signature.key_id:
        raise _does_not_hold("`key_id` is not that of the key in the file")
    if public_key is not None and key_id(public_key) != signature.key_id:
        raise _does_not_hold(
            f"it names the key {signature.key_id}, and yours is {key_id(public_key)}"
        )
    try:
        named.verify(bytes.fromhex(signature.value), canonical_json(signed.certificate))
    except InvalidSignature as exc:
        raise _does_not_hold("the certificate or its signature was changed") from exc
    return signed


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The Ed25519 key in a PEM file.

    Raises:
        CertificateError: `certificate.invalid`, there is none.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as exc:
        raise _no_key(path) from exc
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path)
    return key


def _no_key(path: Path) -> CertificateError:
    return CertificateError(
        "certificate.invalid",
        f"{path} holds no Ed25519 public key in PEM; download it from the platform's page of a "
        "checkpoint",
    )


def _does_not_hold(reason: str) -> CertificateError:
    return CertificateError("certificate.signature_invalid", f"the signature fails: {reason}")
