"""The platform's key for lossless certificates: made at its first use, read by nobody else.

It lies beside the secret key, which children cannot read either. Exchanged by moving the file away:
the next certificate is signed by a new one, and those before keep theirs.
"""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.conf import settings

from pipeline.contracts.certificate import LosslessCertificate, Signature, SignedCertificate
from pipeline.contracts.codec import canonical_json
from pipeline.signatures import key_id
from studio.environment import SIGNING_KEY_NAME, private_text


def sign(certificate: LosslessCertificate) -> SignedCertificate:
    """The certificate with our signature.

    Raises:
        OSError: the key cannot be read or made.
        ValueError: its file holds no Ed25519 key.
    """
    key = _private_key()
    public = key.public_key()
    return SignedCertificate(
        certificate=certificate,
        signature=Signature(
            key_id=key_id(public),
            public_key=public.public_bytes_raw().hex(),
            value=key.sign(canonical_json(certificate)).hex(),
        ),
    )


def public_key() -> tuple[str, bytes]:
    """(id, PEM) of the key that signs now.

    Raises:
        OSError, ValueError: as `sign`.
    """
    public = _private_key().public_key()
    return key_id(public), public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _private_key() -> Ed25519PrivateKey:
    path = Path(settings.STUDIO_DATA_DIR) / SIGNING_KEY_NAME
    key = load_pem_private_key(private_text(path, _new_key).encode(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds no Ed25519 key")  # noqa: TRY004 (what a file holds)
    return key


def _new_key() -> str:
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode()
    )
