"""Arms of a benchmark: what drafts for them, and engines that refuse what they cannot run."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import torch

from pipeline.contracts.decoding_spec import DraftModelArm, Int8DraftArm, NGramArm, SpeculativeArm
from pipeline.contracts.events import Payload, RunWarning
from pipeline.contracts.references import Reference
from pipeline.contracts.specs import parse_run_spec
from pipeline.decoding import speculative
from pipeline.decoding.arms import open_proposer
from pipeline.decoding.lean import build
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.decoding.vllm_options import speculative_config
from pipeline.errors import DecodingError, ModelError
from pipeline.evaluation import decoding_benchmark
from pipeline.execution import RunContext
from pipeline.modeling.tiny import save_tiny_model, tiny_llama
from pipeline.recipes import speculative_decode
from tests.ml.lean_models import require_kernel
from tests.ml.test_goodness_of_fit import accept_all

pytestmark = pytest.mark.slow

TELEPATHY = SimpleNamespace(method="telepathy", name="guess")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def draft_arm(path: Path | str) -> DraftModelArm:
    return DraftModelArm(name="draft", model=Reference(path=str(path)))


def test_an_arm_is_opened_with_its_own_settings(model_dir) -> None:
    target = tiny_llama(dtype=torch.float64)
    lookup = open_proposer(NGramArm(max_ngram=5, min_ngram=2), target)
    assert isinstance(lookup, NGramProposer)
    assert (lookup.max_ngram, lookup.min_ngram) == (5, 2)
    assert (lookup.models, lookup.step_model) == ((), None)
    drafter = open_proposer(draft_arm(model_dir), target)
    assert isinstance(drafter, DraftModelProposer)
    assert drafter.models == (drafter.step_model,)
    assert drafter.step_model.dtype == torch.float64


def test_every_method_of_the_contract_has_a_proposer_but_the_one_for_vllm() -> None:
    folder = Path(decoding_benchmark.__file__).parents[1] / "decoding/proposers"
    methods = {arm.model_fields["method"].default for arm in get_args(SpeculativeArm)}
    methods -= {Int8DraftArm.model_fields["method"].default}
    assert methods == {path.stem for path in folder.glob("*.py")} - {"__init__", "base"}


def test_each_engine_refuses_a_method_it_does_not_know() -> None:
    for engine, refuse in (
        ("torch", lambda: open_proposer(TELEPATHY, tiny_llama())),
        ("vllm", lambda: speculative_config(Path("target"), TELEPATHY, 3)),
    ):
        with pytest.raises(DecodingError, match=f"'{engine}'.*'telepathy'") as caught:
            refuse()
        assert caught.value.code == "decode.unsupported_option"


def test_vllm_is_asked_in_its_own_words(model_dir) -> None:
    assert speculative_config(model_dir, None, None) is None
    assert speculative_config(model_dir, NGramArm(max_ngram=4, min_ngram=2), 3) == {
        "method": "ngram",
        "prompt_lookup_max": 4,
        "prompt_lookup_min": 2,
        "num_speculative_tokens": 3,
    }
    assert speculative_config(model_dir, draft_arm(model_dir), 2) == {
        "method": "draft_model",
        "model": str(model_dir),
        "num_speculative_tokens": 2,
    }


def test_vllm_is_not_asked_for_a_draft_of_another_vocabulary(model_dir, tmp_path) -> None:
    tiny_llama(vocab_size=300).save_pretrained(tmp_path)
    with pytest.raises(ModelError) as caught:
        speculative_config(model_dir, draft_arm(tmp_path), 2)
    assert caught.value.code == "model.vocabulary_mismatch"


class RecordedEvents:
    """An event sink for tests."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []

    def emit(self, payload: Payload) -> None:
        self.payloads.append(payload)

    def warnings(self) -> list[str]:
        return [one.code for one in self.payloads if isinstance(one, RunWarning)]


class Lossy(SpeculativeEngine):
    """Its answers end in a token that is not the target's."""

    def generate(self, prompts, params):
        completions = super().generate(prompts, params)
        for one in completions:
            wrong = (one.token_ids[-1] + 1) % self.vocab_size
            object.__setattr__(one, "token_ids", (*one.token_ids[:-1], wrong))
        return completions


def benchmark(model_dir: Path, folder: Path, **changes):
    """(results, warnings) of a benchmark of n-gram lookup."""
    rows = [
        {"id": f"q{i}", "lang": "en", "instruction": "why? " * i, "input": "", "output": "so"}
        for i in (1, 2, 3)
    ]
    data = folder / "d.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    document = {
        "kind": "speculative_decode",
        "target": {"path": str(model_dir)},
        "arms": [{"method": "ngram", "name": "lookup"}],
        "prompts": {"kind": "domain_test", "path": str(data)},
        "num_prompts": 2,
        "max_new_tokens": 6,
        "num_speculative_tokens": 2,
        "num_repeats": 1,
        "device": "cpu",
    } | changes
    events = RecordedEvents()
    context = RunContext(run_dir=folder, spec_digest="0" * 64, events=events)
    result = speculative_decode.run(parse_run_spec(json.dumps(document)), context)
    return result.results, events.warnings()


@pytest.fixture
def kernel():
    """Without it every benchmark of these models warns."""
    require_kernel()


def test_without_the_kernel_a_benchmark_says_so(model_dir, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(build, "load", lambda: None)
    results, warnings = benchmark(model_dir, tmp_path)
    assert warnings == ["decode.kernel_missing"]
    assert results.losslessness.is_lossless


@pytest.mark.usefixtures("kernel")
def test_a_lossless_benchmark_says_nothing(model_dir, tmp_path) -> None:
    results, warnings = benchmark(model_dir, tmp_path)
    assert warnings == []
    assert list(results.arms) == ["autoregressive", "lookup"]
    assert (results.headline_arm, results.engine, results.interleaved) == ("lookup", "torch", True)
    assert results.losslessness.is_lossless
    assert results.losslessness.arms["lookup"].num_prompts == 2


def test_vllm_refuses_an_arm_before_an_engine_starts(model_dir, tmp_path) -> None:
    trapped = save_tiny_model(tmp_path / "eagle3")
    arms = [{"method": "draft_model", "name": "draft", "model": {"path": str(trapped)}}]
    with pytest.raises(DecodingError, match="contains 'eagle3'") as caught:
        benchmark(model_dir, tmp_path, engine="vllm", arms=arms)
    assert caught.value.code == "decode.unsupported_option"


def test_a_draft_longer_than_what_is_probed_has_costs_too(model_dir, tmp_path) -> None:
    arm = {"method": "draft_model", "name": "same", "model": {"path": str(model_dir)}}
    results, _ = benchmark(
        model_dir, tmp_path, arms=[arm], num_speculative_tokens=12, max_new_tokens=16
    )
    same = results.arms["same"]
    assert same.num_speculative_tokens == 12
    assert len(same.costs.v) == 13
    assert same.predicted_speedup is not None


@pytest.mark.usefixtures("kernel")
def test_a_benchmark_that_is_not_lossless_says_so(model_dir, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(decoding_benchmark, "SpeculativeEngine", Lossy)
    results, warnings = benchmark(model_dir, tmp_path)
    assert warnings == ["decode.not_lossless", "decode.sampling_inconsistent"]
    assert not results.losslessness.is_lossless
    assert not results.losslessness.arms["lookup"].is_lossless
    assert results.losslessness.autoregressive_batch_1_vs_8.is_lossless


@pytest.mark.usefixtures("kernel")
def test_a_benchmark_that_samples_wrongly_says_so(model_dir, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(speculative, "verify_sampled", accept_all)
    results, warnings = benchmark(model_dir, tmp_path)
    assert warnings == ["decode.sampling_inconsistent"]
    certified = results.certificates["lookup"]
    assert (certified.is_lossless, certified.sampling_test) == (True, "inconsistent")


@pytest.mark.usefixtures("kernel")
def test_sampled_answers_are_not_compared(model_dir, tmp_path) -> None:
    results, warnings = benchmark(model_dir, tmp_path, temperature=1.0)
    assert warnings == ["decode.not_gated"]
    assert results.losslessness is None
