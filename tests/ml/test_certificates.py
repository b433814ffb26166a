"""A benchmark's lossless certificates: written by the run, made again by one command."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from pipeline.__main__ import main
from pipeline.contracts.certificate import LosslessCertificate, certificate_file, read_certificate
from pipeline.contracts.codec import bytes_digest, canonical_bytes, digest
from pipeline.contracts.reports import Report, parse_report
from pipeline.data.datasets import dataset_digest
from pipeline.data.records import Message
from pipeline.data.tokenize import ChatFormat
from pipeline.modeling.clean_directory import model_digest
from pipeline.modeling.loading import load_model, load_tokenizer
from pipeline.modeling.tiny import save_tiny_model

pytestmark = pytest.mark.slow


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished benchmark of two arms on three prompts."""

    run_dir: Path
    target: Path
    draft: Path
    prompts: Path
    report: Report

    def path(self, arm: str) -> Path:
        return self.run_dir / "certificates" / f"{arm}.json"

    def certificate(self, arm: str) -> LosslessCertificate:
        found = read_certificate(self.path(arm).read_bytes())
        assert isinstance(found, LosslessCertificate)
        return found


def rounded(model_dir: Path, path: Path) -> Path:
    """The model with coarser weights: another model, of the same vocabulary."""
    model = load_model(model_dir, dtype=torch.float32, device="cpu")
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.bfloat16().float())
    model.save_pretrained(path)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (model_dir / name).exists():
            (path / name).write_bytes((model_dir / name).read_bytes())
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Finished:
    folder = tmp_path_factory.mktemp("benchmark")
    target = save_tiny_model(folder / "target")
    draft = rounded(target, folder / "draft")
    prompts = folder / "prompts.jsonl"
    rows = [
        {"id": f"q{i}", "lang": "en", "instruction": "why? " * i, "input": "", "output": "so"}
        for i in range(1, 6)
    ]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    spec = {
        "kind": "speculative_decode",
        "target": {"path": str(target)},
        "arms": [
            {"method": "draft_model", "name": "coarse", "model": {"path": str(draft)}},
            {"method": "ngram", "name": "lookup", "max_ngram": 2},
        ],
        "prompts": {"kind": "domain_test", "path": str(prompts), "limit": 4},
        "num_prompts": 3,
        "max_new_tokens": 6,
        "num_speculative_tokens": 2,
        "num_repeats": 1,
        "seed": 7,
    }
    document = folder / "spec.json"
    document.write_text(json.dumps(spec), encoding="utf-8")
    run_dir = folder / "run"
    assert main(["run", str(document), "--run-dir", str(run_dir)]) == 0
    report = parse_report((run_dir / "report.json").read_bytes())
    return Finished(run_dir=run_dir, target=target, draft=draft, prompts=prompts, report=report)


def test_each_arm_has_one_that_says_what_was_compared(finished) -> None:
    coarse, lookup = finished.certificate("coarse"), finished.certificate("lookup")
    assert coarse.target == lookup.target == model_digest(finished.target)
    assert (coarse.arm_inputs, lookup.arm_inputs) == ({"model": model_digest(finished.draft)}, {})
    assert lookup.arm == {"method": "ngram", "name": "lookup", "max_ngram": 2, "min_ngram": 1}
    assert (coarse.engine, coarse.dtype) == ("torch", "float32")
    assert coarse.decoding == finished.report.definitions["decoding"]
    assert coarse.decoding.startswith(("kernel ", "transformers; "))
    assert coarse.settings.model_dump() == {
        "num_speculative_tokens": 2, "max_new_tokens": 6, "temperature": 0.0, "seed": 7
    }  # fmt: skip
    assert coarse.prompts.dataset_digest == dataset_digest(finished.prompts)
    assert (coarse.prompts.limit, coarse.prompts.num_prompts) == (4, 3)
    assert coarse.spec_digest == finished.report.spec_digest
    checked = finished.report.results.losslessness
    assert coarse.losslessness == checked.arms["coarse"]
    assert coarse.autoregressive_batch_1_vs_8 == checked.autoregressive_batch_1_vs_8
    assert coarse.libraries["torch"] == torch.__version__
    for tested in (coarse.sampling_test, lookup.sampling_test):
        assert (tested.verdict, tested.temperature) == ("consistent", 1.0)
        assert tested.num_tokens == 5 * 103 >= 512  # answers of six tokens, the first not counted


def test_the_report_names_them(finished) -> None:
    named = finished.report.results.certificates
    assert {name: one.digest for name, one in named.items()} == {
        name: digest(finished.certificate(name)) for name in ("coarse", "lookup")
    }
    assert all(one.is_lossless for one in named.values())
    assert {one.sampling_test for one in named.values()} == {"consistent"}
    assert finished.report.outputs["certificates"].path == "certificates"
    assert finished.report.inputs["prompts"] == dataset_digest(finished.prompts)


def certify(finished: Finished, path: Path, capsys, *options: str, **files: Path):
    """(exit status, standard output, standard error) of the command."""
    chosen = {"target": finished.target, "prompts": finished.prompts} | files
    arguments = [word for name, file in chosen.items() for word in (f"--{name}", str(file))]
    status = main(["certify", str(path), *arguments, *options])
    output = capsys.readouterr()
    return status, output.out, output.err


def test_one_command_makes_it_again(finished, capsys) -> None:
    draft = ("--draft", str(finished.draft))
    status, said, _ = certify(finished, finished.path("coarse"), capsys, *draft)
    assert (status, said.splitlines()[0][:40]) == (0, "reproduced: arm coarse, torch, float32, ")
    status, said, _ = certify(finished, finished.path("lookup"), capsys)
    assert (status, said.splitlines()[0][:24]) == (0, "reproduced: arm lookup, ")
    assert said.splitlines()[1].startswith("sampled answers: consistent with the target's")


def test_one_from_before_sampling_was_tested_is_made_again(finished, capsys, tmp_path) -> None:
    path = tmp_path / "lookup.json"
    before = {"schema_version": 1, "sampling_test": "not_run"}
    path.write_bytes(certificate_file(finished.certificate("lookup").model_copy(update=before)))
    status, said, _ = certify(finished, path, capsys)
    assert (status, said[:24]) == (0, "reproduced: arm lookup, ")


def test_counts_that_do_not_come_again_are_named(finished, capsys, tmp_path) -> None:
    written = finished.certificate("lookup")
    counts = written.losslessness.model_copy(update={"num_identical": 2, "num_near_ties": 1})
    prompts = written.prompts.model_copy(update={"token_digest": "0" * 64})
    lie = {"verdict": "inconsistent", "p_value": 1e-9, "num_accepted_tokens": 0}
    sampling = written.sampling_test.model_copy(update=lie)
    path = tmp_path / "lookup.json"
    changes = {
        "losslessness": counts, "prompts": prompts, "sampling_test": sampling, "num_threads": 96
    }  # fmt: skip
    path.write_bytes(certificate_file(written.model_copy(update=changes)))
    status, said, error = certify(finished, path, capsys)
    assert (status, said) == (12, "")
    assert "error[certificate.not_reproduced]" in error
    assert "losslessness.num_identical: 2 -> 3" in error
    assert "losslessness.num_near_ties: 1 -> 0" in error
    assert "sampling_test.verdict: inconsistent -> consistent" in error
    assert "p_value" not in error
    assert "num_accepted_tokens" not in error
    assert f"prompts.token_digest: {'0' * 64} -> " in error
    assert "num_threads: 96 -> " in error


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("target", "model.digest_mismatch"),
        ("draft", "model.digest_mismatch"),
        ("prompts", "data.digest_mismatch"),
        ("missing", "certificate.invalid"),
        ("unwanted", "certificate.invalid"),
    ],
)
def test_other_files_are_refused_by_name(finished, capsys, tmp_path, wrong, code) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(finished.prompts.read_bytes() + b"\n")
    arm = "lookup" if wrong == "unwanted" else "coarse"
    files = {
        "target": {"target": finished.draft},
        "prompts": {"prompts": other},
    }.get(wrong, {})
    draft = finished.target if wrong == "draft" else finished.draft
    options = () if wrong == "missing" else ("--draft", str(draft))
    status, _, error = certify(finished, finished.path(arm), capsys, *options, **files)
    assert status != 0
    assert f"error[{code}]" in error


def test_the_tokens_are_those_of_the_prompts(finished) -> None:
    """The digest is of the token ids: another template or tokenizer is seen."""
    chat = ChatFormat(load_tokenizer(finished.target))
    rows = [json.loads(line) for line in finished.prompts.read_text().splitlines()]
    tokens = [
        list(chat.prompt((Message(role="user", content=row["instruction"]),))) for row in rows
    ]
    possible = {
        bytes_digest(canonical_bytes(list(chosen))) for chosen in itertools.combinations(tokens, 3)
    }
    assert finished.certificate("coarse").prompts.token_digest in possible
