"""Lossless certificates on the platform: compared with our records, signed, shown, handed out."""

import json
import os
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.urls import reverse
from django.utils import translation

from pipeline.contracts.certificate import (
    CertifiedPrompts,
    DecodingSettings,
    LosslessCertificate,
    certificate_file,
)
from pipeline.contracts.codec import digest
from pipeline.contracts.decoding_results import (
    ArmResults,
    CertifiedArm,
    LosslessnessCounts,
    LosslessnessResults,
    SpeculativeDecodeResults,
)
from pipeline.contracts.documents import read_run_spec
from pipeline.contracts.manifest import file_sha256
from pipeline.contracts.reports import Output
from pipeline.contracts.sampling_test import SamplingTestDone, SamplingTestNotRun
from pipeline.signatures import key_id, read_public_key, verified
from studio.accounts.models import Role
from studio.datasets.examples import example_path
from studio.registry.models import Certificate, Checkpoint, stored_path
from studio.registry.signing import public_key, sign
from studio.runs import lifecycle
from studio.runs.paths import attempt_dir
from studio.runs.services import run_create

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

PLAIN = LosslessnessCounts(
    is_lossless=True, num_prompts=4, num_identical=3, num_near_ties=1, largest_gap=1e-6
)
SAMPLING = SamplingTestDone(
    verdict="consistent", num_answers=6, num_tokens=570, num_draft_tokens=812,
    num_accepted_tokens=204, temperature=1.0, num_cells=8, chi_square=6.25, p_value=0.512,
    level=0.001,
)  # fmt: skip
COUNTS = PLAIN.model_copy(update={"num_identical": 4, "num_near_ties": 0, "largest_gap": None})


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def engineer(factories, project, client):
    user = factories.make_user("wei", project=project, role=Role.ENGINEER)
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return user


@pytest.fixture(autouse=True)
def _key_of_its_own(settings):
    """Each test begins without a signing key."""
    yield
    (settings.STUDIO_DATA_DIR / "signing_key").unlink(missing_ok=True)


@pytest.fixture
def models(factories, project, engineer):
    """(target, draft), checkpoints whose digests the registry knows."""
    return [
        factories.make_checkpoint(project, engineer, name=name)[0] for name in ("target", "draft")
    ]


def arm_results(length):
    return ArmResults(
        tokens_per_second=1.0, prefill_seconds=1.0, decode_seconds=1.0, num_output_tokens=8,
        repeated_4gram_rate=0.0, num_speculative_tokens=length,
    )  # fmt: skip


@pytest.fixture
def benchmark(factories, project, engineer, models):
    """Makes a finished benchmark of a draft and of lookup, whose child wrote what it is told to."""

    def benchmark(change=None, *, prompts=None, spoil=None, target=None):
        prompts = prompts or {"path": str(example_path("domain_test", "en")), "kind": "domain_test"}
        made_from, draft = models
        spec = {
            "kind": "speculative_decode",
            "name": "benchmark",
            "target": target or {"path": str(made_from.model_path)},
            "arms": [
                {
                    "method": "draft_model",
                    "name": "distilled",
                    "model": {"path": str(draft.model_path)},
                },
                {"method": "ngram", "name": "lookup"},
            ],
            "prompts": prompts,
            "num_speculative_tokens": 3,
        }
        run = run_create(project=project, actor=engineer, spec=read_run_spec(json.dumps(spec)))
        claim = lifecycle.claim(run.pk, slot=f"test/{uuid.uuid4()}", queue=run.queue)
        directory = attempt_dir(run.pk, claim.attempt) / "certificates"
        directory.mkdir(parents=True)
        written = {}
        for arm in ("distilled", "lookup"):
            certificate = honest(run, arm, models)
            if arm == "distilled" and change:
                certificate = change(certificate)
            written[arm] = certificate
            (directory / f"{arm}.json").write_bytes(certificate_file(certificate))
        if spoil:
            spoil(directory)
        report = report_of(factories, run, written)
        assert lifecycle.finish_succeeded(run.pk, claim.attempt, report)
        run.refresh_from_db()
        assert run.state == "succeeded"
        return {one.arm: one for one in run.certificates.all()}

    return benchmark


def honest(run, arm, models):
    """What a right run writes."""
    target, draft = models
    described = {
        "distilled": {"method": "draft_model", "name": "distilled", "model": {}},
        "lookup": {"method": "ngram", "name": "lookup", "max_ngram": 3, "min_ngram": 1},
    }
    return LosslessCertificate(
        target=target.digest,
        arm=described[arm],
        arm_inputs={"model": draft.digest} if arm == "distilled" else {},
        engine="torch",
        decoding="kernel lean-1",
        dtype="float32",
        device="cpu",
        settings=DecodingSettings(
            num_speculative_tokens=3, max_new_tokens=64, temperature=0.0, seed=0
        ),
        prompts=CertifiedPrompts(
            dataset_digest=file_sha256(example_path("domain_test", "en")),
            encoding="utf-8", where=(), limit=None, num_prompts=4, token_digest="d" * 64,
        ),
        losslessness=COUNTS,
        autoregressive_batch_1_vs_8=PLAIN,
        sampling_test=SAMPLING,
        spec_digest=run.spec_digest,
        code_version="f" * 40,
        libraries={"python": "3.11"},
        processor="CPU <b>&",
        num_threads=2,
        date="2026-11-28",
    )  # fmt: skip


def report_of(factories, run, certificates):
    results = SpeculativeDecodeResults(
        arms={"autoregressive": arm_results(None)} | dict.fromkeys(certificates, arm_results(3)),
        losslessness=LosslessnessResults(
            is_lossless=True,
            arms=dict.fromkeys(certificates, COUNTS),
            autoregressive_batch_1_vs_8=PLAIN,
        ),
        num_prompts=4, num_repeats=1, engine="torch", interleaved=True, headline_arm="distilled",
        certificates={
            name: CertifiedArm(digest=digest(one), is_lossless=one.losslessness.is_lossless)
            for name, one in certificates.items()
        },
    )  # fmt: skip
    output = Output(path="certificates", digest="a" * 64)
    return factories.make_report(
        run, results=results, outputs={"certificates": output}, code_version="f" * 40
    )


def test_what_agrees_with_our_records_is_signed(benchmark, models, settings) -> None:
    kept = benchmark()
    path = settings.STUDIO_DATA_DIR / "signing_key"
    assert path.stat().st_mode & 0o777 == 0o600
    for arm, one in kept.items():
        signed = verified(one.document.encode())
        assert (signed.certificate.arm_name, signed.signature.key_id) == (arm, one.key_id)
        assert (one.key_id, one.differs_in, one.unknown) == (public_key()[0], [], [])
    target, draft = models
    assert set(kept["distilled"].checkpoints.all()) == {target, draft}
    assert set(kept["lookup"].checkpoints.all()) == {target}


LIES = {
    "target": {"target": "0" * 64},
    "arm_inputs.model": {"arm_inputs": {"model": "0" * 64}},
    "arm": {"arm": {"method": "ngram", "name": "distilled"}},
    "dtype": {"dtype": "bfloat16"},
    "spec_digest": {"spec_digest": "0" * 64},
    "code_version": {"code_version": "0" * 40},
    "losslessness": {"losslessness": PLAIN},
    "autoregressive_batch_1_vs_8": {"autoregressive_batch_1_vs_8": COUNTS},
}
IN_PARTS = {
    "prompts.dataset_digest": ("prompts", {"dataset_digest": "0" * 64}),
    "prompts.limit": ("prompts", {"limit": 2}),
    "prompts.num_prompts": ("prompts", {"num_prompts": 400}),
    "settings.temperature": ("settings", {"temperature": 1.0}),
    "settings.seed": ("settings", {"seed": 9}),
    "settings.max_new_tokens": ("settings", {"max_new_tokens": 640}),
    "settings.num_speculative_tokens": ("settings", {"num_speculative_tokens": 5}),
}


@pytest.mark.parametrize("name", ["arm_inputs", *LIES, *IN_PARTS])
def test_a_child_that_states_otherwise_gets_no_signature(benchmark, name) -> None:
    def lie(certificate):
        if name == "arm_inputs":
            changes = {"arm_inputs": certificate.arm_inputs | {"other": "0" * 64}}
        elif name in LIES:
            changes = LIES[name]
        else:
            part, inner = IN_PARTS[name]
            changes = {part: getattr(certificate, part).model_copy(update=inner)}
        return certificate.model_copy(update=changes)

    kept = benchmark(lie)
    assert kept["distilled"].differs_in == [name]
    assert kept["distilled"].key_id == ""
    assert b"signature" not in kept["distilled"].document.encode()
    assert kept["lookup"].key_id


def test_what_only_the_run_has_seen_is_not_vouched_for(benchmark, settings, models) -> None:
    base = {"path": str(settings.STUDIO_DATA_DIR / "models" / "prepared")}
    kept = benchmark(target=base)
    assert {one.key_id for one in kept.values()} == {""}
    assert kept["lookup"].unknown == ["target"]
    Checkpoint.objects.filter(pk=models[1].pk).update(digest="")
    assert benchmark()["distilled"].unknown == ["arm_inputs.model"]


def test_a_version_of_the_project_is_a_record(benchmark, factories, project, engineer) -> None:
    version = factories.make_import(project, engineer).run.dataset_version
    prompts = {"path": str(version.rows_path), "kind": "domain_test"}

    def honest_prompts(certificate):
        named = certificate.prompts.model_copy(update={"dataset_digest": version.digest})
        return certificate.model_copy(update={"prompts": named})

    kept = benchmark(honest_prompts, prompts=prompts)
    assert kept["distilled"].key_id
    assert kept["lookup"].differs_in == ["prompts.dataset_digest"]


def link(directory):
    path = directory / "distilled.json"
    path.rename(directory / "elsewhere.json")
    path.symlink_to(directory / "elsewhere.json")


def pipe(directory):
    (directory / "distilled.json").unlink()
    os.mkfifo(directory / "distilled.json")


SPOILED = {
    "absent": lambda directory: (directory / "distilled.json").unlink(),
    "a link": link,
    "a pipe": pipe,
    "a directory": lambda directory: [
        (directory / "distilled.json").unlink(), (directory / "distilled.json").mkdir()
    ],
    "cut": lambda directory: os.truncate(directory / "distilled.json", 100),
    "huge": lambda directory: os.truncate(directory / "distilled.json", 1 << 30),
    "another arm's": lambda directory: (directory / "distilled.json").write_bytes(
        (directory / "lookup.json").read_bytes()
    ),
    "signed by itself": lambda directory: (directory / "distilled.json").write_bytes(b"{}"),
}  # fmt: skip


@pytest.mark.parametrize("how", SPOILED)
def test_a_file_that_is_not_what_the_report_names_is_left_out(benchmark, how) -> None:
    assert list(benchmark(spoil=SPOILED[how])) == ["lookup"]


def test_a_damaged_key_signs_nothing_and_stops_nothing(
    benchmark, settings, client, project, models
) -> None:
    path = settings.STUDIO_DATA_DIR / "signing_key"
    rsa = generate_private_key(65537, 2048)
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"no key", pem):
        path.write_bytes(content)
        kept = benchmark()
        assert {(one.key_id, *one.differs_in, *one.unknown) for one in kept.values()} == {("",)}
    text = page(client, project, models[0])
    assert "the platform's key could not be used" in text
    assert client.get(reverse("registry:signing_key", args=[project.slug])).status_code == 404


def page(client, project, checkpoint):
    address = reverse("registry:checkpoint", args=[project.slug, checkpoint.pk])
    return client.get(address).content.decode()


def test_the_page_says_what_holds_and_who_signed(client, project, models, benchmark) -> None:
    assert "No decoding benchmark has compared answers" in page(client, project, models[0])
    benchmark()
    text = page(client, project, models[0])
    for part in (
        "4 of 4 identical", "0 near ties (plain decoding at batch 1 against 8: 1)",
        "torch, float32, cpu", "kernel lean-1", "draft length 3",
        "temperature 0.0, at most 64 tokens",
        "this model is the target",
        "sampled answers consistent with the target's distribution",
        "p 0.51, 570 tokens, 204 of 812 drafted ones accepted (level 0.001)",
        "signed by this platform, key",
        public_key()[0], "CPU &lt;b&gt;&amp;",
    ):  # fmt: skip
        assert part in text, part
    of_draft = page(client, project, models[1])
    assert "this model drafts" in of_draft
    assert "lookup" not in of_draft


def test_the_page_says_why_one_is_not_signed(client, project, models, benchmark) -> None:
    benchmark(lambda certificate: certificate.model_copy(update={"dtype": "bfloat16"}))
    assert "the run states otherwise than the platform's records" in page(
        client, project, models[0]
    )
    lossy = LosslessnessCounts(
        is_lossless=False, num_prompts=4, num_identical=1, num_near_ties=0, largest_gap=3.0
    )
    benchmark(lambda certificate: certificate.model_copy(update={"losslessness": lossy}))
    assert "NOT LOSSLESS" in page(client, project, models[0])


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (
            {"sampling_test": SAMPLING.model_copy(update={"verdict": "inconsistent"})},
            "do NOT follow",
        ),
        ({"sampling_test": SamplingTestNotRun(reason="a CPU")}, "no sampling test was run: <span"),
        ({"sampling_test": "not_run", "schema_version": 1}, "no sampling test was run</span>"),
    ],
)
def test_the_page_says_what_sampled_answers_showed(
    client, project, models, benchmark, changes, shown
) -> None:
    benchmark(lambda certificate: certificate.model_copy(update=changes))
    text = " ".join(page(client, project, models[0]).split())
    assert shown in text


def test_an_exchanged_key_leaves_the_old_ones_signed(
    client, project, models, benchmark, settings
) -> None:
    old = benchmark()["distilled"]
    (settings.STUDIO_DATA_DIR / "signing_key").unlink()
    new = benchmark()["distilled"]
    assert old.key_id != new.key_id == public_key()[0]
    verified(old.document.encode())
    text = page(client, project, models[0])
    assert "signed by an earlier key" in text
    assert "signed by this platform, key" in text


def test_many_are_cut_short_and_said_so(client, project, models, benchmark) -> None:
    first = benchmark()["distilled"]
    for number in range(50):
        row = Certificate.objects.create(
            project=project, run=first.run, arm=f"a{number}", document=first.document
        )
        row.checkpoints.add(models[0])
    assert "Only the newest 50 are shown" in page(client, project, models[0])


def test_both_files_are_handed_out_and_fit(client, project, benchmark, tmp_path) -> None:
    kept = benchmark()["distilled"]
    file = client.get(reverse("registry:certificate", args=[project.slug, kept.pk]))
    assert file.headers["Content-Disposition"].startswith("attachment")
    key = client.get(reverse("registry:signing_key", args=[project.slug])).content
    (tmp_path / "key.pem").write_bytes(key)
    read = read_public_key(tmp_path / "key.pem")
    assert key_id(read) == kept.key_id
    assert verified(file.content, public_key=read).certificate.arm_name == "distilled"
    assert b"PRIVATE" not in key


def test_signing_twice_gives_the_same_bytes(benchmark) -> None:
    kept = benchmark()["distilled"]
    signed = verified(kept.document.encode())
    assert sign(signed.certificate) == signed


def test_the_page_in_chinese(client, project, models, benchmark) -> None:
    benchmark()
    with translation.override("zh-hans"):
        client.cookies["django_language"] = "zh-hans"
        assert "无损证书" in page(client, project, models[0])


@pytest.mark.slow
def test_what_a_real_run_writes_is_signed(factories, project, engineer, settings) -> None:
    from pipeline.modeling.clean_directory import model_digest
    from pipeline.modeling.tiny import save_tiny_model

    path = save_tiny_model(settings.STUDIO_DATA_DIR / "models" / f"tiny-{uuid.uuid4()}")
    known = Checkpoint.objects.create(
        project=project, name="tiny", kind="imported", path=stored_path(path),
        digest=model_digest(path), created_by=engineer,
    )  # fmt: skip
    spec = {
        "kind": "speculative_decode",
        "target": {"path": str(path)},
        "arms": [
            {"method": "draft_model", "name": "itself", "model": {"path": str(path)}},
            {"method": "ngram"},
        ],
        "prompts": {
            "path": str(example_path("domain_test", "en")), "kind": "domain_test",
            "where": [{"field": "id", "values": ["t2-q01-en", "t2-q02-en", "t4-q04-en"]}],
        },
        "num_prompts": 2,
        "max_new_tokens": 4,
        "num_speculative_tokens": 2,
        "num_repeats": 1,
        "device": "cpu",
    }  # fmt: skip
    run = run_create(project=project, actor=engineer, spec=read_run_spec(json.dumps(spec)))
    factories.execute(run)
    assert run.state == "succeeded", run.error_message
    kept = {one.arm: one for one in run.certificates.all()}
    assert {arm: (one.differs_in, one.unknown) for arm, one in kept.items()} == {
        "itself": ([], []), "ngram": ([], [])
    }  # fmt: skip
    signed = verified(kept["itself"].document.encode())
    assert signed.certificate.arm_inputs == {"model": known.digest}
    assert list(known.certificates.order_by("arm")) == [kept["itself"], kept["ngram"]]
