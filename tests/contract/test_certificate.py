"""A lossless certificate: one file for one statement; no byte of a signed one can change."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.__main__ import main
from pipeline.contracts.certificate import (
    LosslessCertificate,
    Signature,
    SignedCertificate,
    arm_description,
    certificate_file,
    differences_from_spec,
    read_certificate,
)
from pipeline.contracts.codec import canonical_bytes, canonical_json, digest
from pipeline.contracts.decoding_results import CertifiedArm
from pipeline.contracts.decoding_spec import DraftModelArm, NGramArm
from pipeline.contracts.plans import check_gates
from pipeline.contracts.references import Reference
from pipeline.contracts.reports import parse_report, stored_report
from pipeline.contracts.specs import Gate, parse_run_spec
from pipeline.errors import CertificateError, GateError
from pipeline.signatures import key_id, read_public_key, verified

GOLDEN = Path(__file__).parent / "golden/lossless_certificate.json"
GOLDEN_2 = GOLDEN.with_name("lossless_certificate_2.json")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def golden() -> LosslessCertificate:
    found = read_certificate(GOLDEN.read_bytes())
    assert isinstance(found, LosslessCertificate)
    return found


def signed(certificate: LosslessCertificate, key: Ed25519PrivateKey = KEY) -> SignedCertificate:
    public = key.public_key()
    return SignedCertificate(
        certificate=certificate,
        signature=Signature(
            key_id=key_id(public),
            public_key=public.public_bytes_raw().hex(),
            value=key.sign(canonical_json(certificate)).hex(),
        ),
    )


CONTENT = certificate_file(signed(golden()))
DOCUMENT = json.loads(CONTENT)


def places(value: object, above: tuple = ()) -> Iterator[tuple]:
    """Every key and index of a document that holds no further ones."""
    children = list(value.items() if isinstance(value, dict) else enumerate(value or ()))
    for key, child in children:
        if isinstance(child, dict | list):
            yield from places(child, (*above, key))
        else:
            yield (*above, key)


def other(value: object) -> object:
    """A value of the same kind that differs, well-formed where the form is known."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if value is None:
        return 1
    assert isinstance(value, str)
    last = "1" if value.endswith("0") else "0"
    return value[:-1] + last


def changed(place: tuple, value: object) -> bytes:
    document = json.loads(CONTENT)
    node = document
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return canonical_bytes(document) + b"\n"


def refused(content: bytes, **options: object) -> str:
    """The code by which the file is refused."""
    with pytest.raises(CertificateError) as caught:
        verified(content, **options)
    return caught.value.code


def test_the_golden_file_is_read_and_written_to_the_byte() -> None:
    certificate = golden()
    assert certificate_file(certificate) == GOLDEN.read_bytes()
    assert (certificate.arm_name, certificate.losslessness.num_near_ties) == ("distilled", 2)


def test_one_that_tested_sampling_is_read_and_written_to_the_byte() -> None:
    certificate = read_certificate(GOLDEN_2.read_bytes())
    assert certificate_file(certificate) == GOLDEN_2.read_bytes()
    assert certificate.sampling_test.verdict == "consistent"
    content = certificate_file(signed(certificate))
    assert verified(content).certificate == certificate
    lie = content.replace(b'"consistent"', b'"inconsistent"')
    assert refused(lie) == "certificate.signature_invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 1},
        {"sampling_test": "not_run"},
        {"sampling_test": {"verdict": "not_run"}},
        {"sampling_test": {"verdict": "passed"}},
    ],
)
def test_a_sampling_test_is_said_as_its_version_says_it(change: dict) -> None:
    document = json.loads(GOLDEN_2.read_bytes()) | change
    with pytest.raises(CertificateError) as caught:
        read_certificate(canonical_bytes(document) + b"\n")
    assert (caught.value.code, "sampling_test" in str(caught.value)) == (
        "certificate.invalid",
        True,
    )


def test_a_signed_certificate_holds_with_the_key_it_names() -> None:
    assert verified(CONTENT).certificate == golden()
    assert verified(CONTENT, public_key=KEY.public_key()).certificate == golden()


@pytest.mark.parametrize(
    "place", list(places(DOCUMENT)), ids=lambda place: ".".join(map(str, place))
)
def test_no_field_can_be_changed(place: tuple) -> None:
    node = DOCUMENT
    for key in place:
        node = node[key]
    assert refused(changed(place, other(node))).startswith("certificate.")
    assert refused(changed(place, None) if node is not None else changed(place, 0))


def test_a_digest_of_another_checkpoint_breaks_the_signature() -> None:
    content = changed(("certificate", "target"), "f" * 64)
    assert refused(content) == "certificate.signature_invalid"


def test_signing_again_with_another_key_is_another_key() -> None:
    lie = golden().model_copy(update={"target": "f" * 64})
    forged = certificate_file(signed(lie, OTHER_KEY))
    assert verified(forged).certificate == lie  # with its own key it holds: integrity, no more
    assert refused(forged, public_key=KEY.public_key()) == "certificate.signature_invalid"


def test_the_key_and_its_id_belong_together() -> None:
    document = json.loads(CONTENT)
    document["signature"]["public_key"] = OTHER_KEY.public_key().public_bytes_raw().hex()
    assert refused(canonical_bytes(document) + b"\n") == "certificate.signature_invalid"


@pytest.mark.parametrize("place", [("schema_version",), ("certificate", "schema_version")])
def test_another_version_is_not_guessed_at(place: tuple) -> None:
    assert refused(changed(place, 2)) == "certificate.invalid"


def test_a_file_cut_anywhere_is_refused() -> None:
    for length in range(len(CONTENT)):
        assert refused(CONTENT[:length]) == "certificate.invalid"


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_file_with_any_byte_changed_is_refused(place: int, change: int) -> None:
    content = bytearray(CONTENT)
    content[place] ^= change
    assert refused(bytes(content)).startswith("certificate.")


@pytest.mark.parametrize(
    "place", list(places(DOCUMENT)), ids=lambda place: ".".join(map(str, place))
)
def test_a_key_that_stands_twice_is_refused(place: tuple) -> None:
    """Readers that keep the first of two equal keys would read another certificate."""
    key = json.dumps(place[-1]).encode() + b":"
    if not isinstance(place[-1], str):
        return
    start = CONTENT.index(key)
    assert refused(CONTENT[:start] + key + b"0," + CONTENT[start:]) == "certificate.invalid"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null\n",
        b"[]\n",
        b'{"kind":"plan"}\n',
        b'{"kind":"lossless_certificate","x":NaN}\n',
        b'{"kind":["lossless_certificate"]}\n',
        b"[" * 100_000,
        b'{"kind":"lossless_certificate","a":"\xff"}\n',
        b" " * (1 << 21),
        json.dumps(DOCUMENT, indent=1).encode(),
        CONTENT.rstrip(b"\n"),
        CONTENT + b"\n",
        b"\xef\xbb\xbf" + CONTENT,
    ],
    ids=range(13),
)
def test_what_is_no_certificate_is_refused(content: bytes) -> None:
    assert refused(content) == "certificate.invalid"


def test_an_unsigned_one_is_read_and_not_verified() -> None:
    assert refused(GOLDEN.read_bytes()) == "certificate.invalid"


def test_the_command_says_what_a_signature_proves(tmp_path, capsys) -> None:
    path, key_path = tmp_path / "certificate.json", tmp_path / "key.pem"
    path.write_bytes(CONTENT)
    public = KEY.public_key()
    key_path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert key_id(read_public_key(key_path)) == key_id(public)
    assert main(["verify-certificate", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"signed by key {key_id(public)}" in said
    assert "proves only that nothing was changed" in said
    assert "lossless, 22 of 24 answers identical, 2 near ties" in said
    assert "sampled answers: not tested" in said
    assert main(["verify-certificate", str(path), "--public-key", str(key_path)]) == 0
    assert "proves only" not in capsys.readouterr().out
    path.write_bytes(certificate_file(signed(read_certificate(GOLDEN_2.read_bytes()))))
    assert main(["verify-certificate", str(path)]) == 0
    said = capsys.readouterr().out
    assert "sampled answers: consistent with the target's distribution, p 0.51 over 570" in said
    path.write_bytes(changed(("certificate", "losslessness", "num_near_ties"), 0))
    assert main(["verify-certificate", str(path)]) == 12
    assert "error[certificate.signature_invalid]" in capsys.readouterr().err
    for wrong in (path, tmp_path / "missing.pem"):
        assert main(["verify-certificate", str(path), "--public-key", str(wrong)]) == 12
        assert "error[certificate.invalid]" in capsys.readouterr().err


def spec_of(certificate: LosslessCertificate, **changes: object):
    document = {
        "kind": "speculative_decode",
        "target": {"path": "/t", "digest": certificate.target},
        "arms": [{"method": "draft_model", "name": "distilled", "model": {"path": "/d"}}],
        "prompts": {"kind": "domain_test", "path": "/p"},
        "num_prompts": 24,
        "max_new_tokens": 96,
        "num_speculative_tokens": 3,
    } | changes
    return parse_run_spec(json.dumps(document))


def test_a_certificate_is_compared_with_the_spec_of_its_run() -> None:
    certificate = golden()

    def differences(**changes: object) -> list[str]:
        spec = spec_of(certificate, **changes)
        return list(differences_from_spec(certificate, spec, spec.arms[0]))

    assert differences() == differences(num_speculative_tokens=None, engine="torch") == []
    lookup = {"method": "ngram", "name": "distilled"}
    assert differences(arms=[lookup]) == ["arm", "arm_inputs"]
    assert differences(dtype="bfloat16", device="cuda") == ["dtype", "device"]
    assert differences(num_prompts=20, temperature=0.5, seed=1) == [
        "settings.temperature",
        "settings.seed",
        "prompts.num_prompts",
    ]
    rule = {"field": "lang", "values": ["en"]}
    filtered = {"kind": "domain_test", "path": "/p", "where": [rule], "limit": 3}
    assert differences(prompts=filtered) == ["prompts.where", "prompts.limit"]
    assert differences(num_speculative_tokens=4, max_new_tokens=8, engine="vllm") == [
        "engine",
        "settings.num_speculative_tokens",
        "settings.max_new_tokens",
    ]


def test_an_arm_is_described_without_places() -> None:
    model = Reference(path="/home/somebody/draft", digest="a" * 64)
    assert arm_description(DraftModelArm(name="d", model=model))["model"] == {}
    assert arm_description(NGramArm()) == {
        "method": "ngram", "name": "ngram", "max_ngram": 3, "min_ngram": 1
    }  # fmt: skip


def test_a_plans_gate_asks_for_a_certificate() -> None:
    document = json.loads((GOLDEN.parent / "v1/reports/speculative_decode.json").read_bytes())
    report = stored_report(document)
    gate = Gate(metric="results.certificates.distilled.is_lossless", operator="equal", value=True)
    with pytest.raises(GateError):  # none was written: it does not hold
        check_gates("bench", (gate,), report)
    for is_lossless in (True, False):
        certified = CertifiedArm(digest=digest(golden()), is_lossless=is_lossless)
        results = report.results.model_copy(update={"certificates": {"distilled": certified}})
        written = report.model_copy(update={"results": results})
        again = parse_report(written.model_dump_json())
        with contextlib.nullcontext() if is_lossless else pytest.raises(GateError):
            check_gates("bench", (gate,), again)
