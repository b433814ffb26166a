"""A draft that may say few tokens: the file beside it, and what it drafts."""

import json
import random

import pytest
import torch
from transformers import AutoModelForCausalLM

from pipeline.contracts.decoding_spec import DraftModelArm
from pipeline.contracts.references import Reference
from pipeline.decoding.arms import open_proposer
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.errors import ModelError
from pipeline.modeling.clean_directory import clean_directory, copy_clean, model_digest
from pipeline.modeling.draft_vocabulary import DRAFT_VOCABULARY_NAME, draft_vocabulary_document
from pipeline.modeling.inspection import read_model
from pipeline.modeling.tiny import TINY_VOCAB_SIZE, save_tiny_model, tiny_llama

VOCAB = 61


@pytest.fixture
def directory(tmp_path):
    return save_tiny_model(tmp_path / "draft")


def restrict(directory, token_ids):
    (directory / DRAFT_VOCABULARY_NAME).write_bytes(draft_vocabulary_document(token_ids))


def test_the_file_is_part_of_the_checkpoint(directory, tmp_path):
    assert read_model(directory).draft_vocabulary is None
    digests = {model_digest(directory)}
    for token_ids in ([2, 5, 70], [2, 5, 71], list(range(TINY_VOCAB_SIZE))):
        restrict(directory, token_ids)
        model = read_model(directory)
        assert model.draft_vocabulary == tuple(token_ids)
        assert (model.is_clean, model.left_behind) == (True, ())
        digests.add(model_digest(directory))
    assert len(digests) == 4
    copy = copy_clean(read_model(directory), tmp_path / "copy")
    assert model_digest(copy) == model_digest(directory)
    with clean_directory(read_model(copy)) as clean:
        model = AutoModelForCausalLM.from_pretrained(clean, local_files_only=True)
    assert model.lm_head.weight.shape[0] == TINY_VOCAB_SIZE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1, 2]",
        b'{"v": 1}',
        b'{"v": 2, "token_ids": [1]}',
        b'{"v": true, "token_ids": [1]}',
        b'{"v": 1, "token_ids": []}',
        b'{"v": 1, "token_ids": 3}',
        b'{"v": 1, "token_ids": {"1": 2}}',
        b'{"v": 1, "token_ids": [1], "more": 0}',
        b'{"v": 1, "token_ids": [1, 1]}',
        b'{"v": 1, "token_ids": [3, 1]}',
        b'{"v": 1, "token_ids": [-1]}',
        b'{"v": 1, "token_ids": [true]}',
        b'{"v": 1, "token_ids": [1.0]}',
        b'{"v": 1, "token_ids": ["1"]}',
        b'{"v": 1, "token_ids": [NaN]}',
        b'{"v": 1, "token_ids": [1], "token_ids": [2]}',
        b'{"v": 1, "token_ids": [%d]}' % TINY_VOCAB_SIZE,
        b'{"v": 1, "token_ids": [%s]}' % (b"9" * 400),
    ],
)
def test_what_no_draft_wrote_is_refused(directory, content):
    (directory / DRAFT_VOCABULARY_NAME).write_bytes(content)
    with pytest.raises(ModelError, match=DRAFT_VOCABULARY_NAME) as caught:
        read_model(directory)
    assert caught.value.code == "model.corrupt_file"


@pytest.mark.parametrize("change", [{"auto_map": "x"}, {"token_ids": [[[1] * 9]]}])
def test_hostile_content_is_refused(directory, change):
    content = {"v": 1, "token_ids": [1]} | change
    (directory / DRAFT_VOCABULARY_NAME).write_text(json.dumps(content))
    with pytest.raises(ModelError) as caught:
        read_model(directory)
    assert caught.value.code in ("model.corrupt_file", "model.unsafe_file")


def test_an_arm_drafts_the_tokens_of_its_file(directory):
    target = tiny_llama(seed=3)
    restrict(directory, [2, 7, 9, 100])
    arm = DraftModelArm(name="draft", model=Reference(path=str(directory)))
    proposer = open_proposer(arm, target)
    assert proposer.output_ids.tolist() == [2, 7, 9, 100]
    (directory / DRAFT_VOCABULARY_NAME).unlink()
    assert open_proposer(arm, target).output_ids is None


def random_ids(source, size):
    return sorted(source.sample(range(VOCAB), size))


@pytest.fixture(scope="module")
def target():
    return tiny_llama(dtype=torch.float64, vocab_size=VOCAB, hidden_size=32, num_layers=2)


@pytest.mark.parametrize("temperature", [0.0, 1.3])
@pytest.mark.parametrize("size", [1, 2, 20, VOCAB])
@torch.inference_mode()
def test_it_drafts_as_a_model_whose_other_logits_are_minus_infinity(target, size, temperature):
    """Its distribution has nothing outside, over the whole vocabulary: the target can verify it."""
    source = random.Random(size)
    ids = random_ids(source, size)
    prompts = [[source.randrange(VOCAB) for _ in range(9)] for _ in range(3)]
    session = DraftModelProposer(target, output_ids=ids).begin(
        prompts,
        capacity=40,
        params=SamplingParams(max_new_tokens=1, temperature=temperature),
        generator=torch.Generator().manual_seed(1),
    )
    sequences = [[*prompt, source.randrange(VOCAB)] for prompt in prompts]
    draft = session.propose(sequences, 3)
    outside = torch.full((VOCAB,), -torch.inf, dtype=torch.float64)
    outside[ids] = 0.0
    for row, sequence in enumerate(sequences):
        context = [*sequence, *draft.token_ids[row].tolist()]
        logits = target(torch.tensor([context])).logits[0, len(sequence) - 1 : -1] + outside
        if temperature == 0:
            assert draft.token_ids[row].tolist() == logits.argmax(-1).tolist()
        else:
            torch.testing.assert_close(draft.probs[row], (logits / temperature).softmax(-1))
            assert set(draft.token_ids[row].tolist()) <= set(ids)
    assert (draft.probs is None) == (temperature == 0)


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("size", [1, 15, 50])
def test_greedy_output_stays_the_targets(target, size, batch_size):
    source = random.Random(size)
    prompts = [[source.randrange(VOCAB) for _ in range(source.randint(1, 12))] for _ in range(24)]
    params = SamplingParams(max_new_tokens=10)
    draft = tiny_llama(dtype=torch.float64, vocab_size=VOCAB, hidden_size=32, num_layers=1)
    expected = AutoregressiveEngine(target, max_batch_size=24).generate(prompts, params)
    engine = SpeculativeEngine(
        target,
        DraftModelProposer(draft, output_ids=random_ids(source, size)),
        num_speculative_tokens=3,
        max_batch_size=batch_size,
    )
    found = engine.generate(prompts, params)
    assert [one.token_ids for one in found] == [one.token_ids for one in expected]
