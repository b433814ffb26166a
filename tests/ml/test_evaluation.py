"""Evaluation against oracles: direct log-likelihoods, a uniform model, the model itself."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from pipeline.contracts.evaluation_spec import TextOverlapSettings
from pipeline.contracts.references import DomainTestRef
from pipeline.data.records import Document, DomainItem, Message, MultipleChoiceItem
from pipeline.data.tokenize import ChatFormat, plain_token_ids
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.errors import DataError
from pipeline.evaluation.answer_cap import answer_cap, warn_of_cut_answers
from pipeline.evaluation.general_ability import ChoiceResult, evaluate_choices
from pipeline.evaluation.generation import answer_items, text_overlap_results
from pipeline.evaluation.language_modeling import (
    GaugeText,
    read_gauge_scores,
    read_gauge_texts,
    sample_gauge_texts,
    score_gauge_texts,
    write_gauge_scores,
    write_gauge_texts,
)
from pipeline.evaluation.overlap_comparison import compare_overlap
from pipeline.evaluation.samples import read_samples, write_samples
from pipeline.execution import RunContext
from pipeline.metrics.gauge import summarize_gauge
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

TOPICS = {"topic_group": 2, "subject": "optics"}
ITEMS = (
    MultipleChoiceItem(
        id="q1-en",
        lang="en",
        question="Why is the sky blue?",
        choices=("Scattering", "The sea", "Ozone glow", "Dust"),
        answer=0,
        meta=TOPICS,
    ),
    MultipleChoiceItem(
        id="q1-zh",
        lang="zh",
        question="天空为什么是蓝色的？",
        choices=("散射", "海水反射", "臭氧发光", "尘埃"),
        answer=0,
        meta=TOPICS,
    ),
)


class Silent:
    def emit(self, payload: object) -> None:
        """Progress is not under test."""


@pytest.fixture(scope="module")
def model():
    return tiny_llama(seed=3).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@torch.inference_mode()
def direct_log_likelihood(model, tokenizer, context: str, choice: str) -> float:
    """The definition, token by token: no harness, no batching, no padding."""
    context_ids = tokenizer(context, add_special_tokens=False).input_ids
    ids = context_ids + tokenizer(choice, add_special_tokens=False).input_ids
    log_probs = functional.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1)
    return sum(float(log_probs[i - 1, ids[i]]) for i in range(len(context_ids), len(ids)))


def test_choices_have_the_log_likelihoods_of_the_definition(model, tokenizer) -> None:
    """English puts a space before the answer, Chinese none; both languages go through at once."""
    results = {result.item_id: result for result in evaluate_choices(model, tokenizer, ITEMS)}
    contexts = {
        "q1-en": ("Question: Why is the sky blue?\nAnswer:", " "),
        "q1-zh": ("问题：天空为什么是蓝色的？\n答案：", ""),
    }
    for item in ITEMS:
        context, delimiter = contexts[item.id]
        expected = [
            direct_log_likelihood(model, tokenizer, context, delimiter + choice)
            for choice in item.choices
        ]
        assert results[item.id].log_likelihoods == pytest.approx(expected, abs=1e-3)
        assert (results[item.id].category, results[item.id].cluster) == ("2", "optics")


def test_results_keep_the_order_of_the_items(model, tokenizer) -> None:
    results = evaluate_choices(model, tokenizer, tuple(reversed(ITEMS)))
    assert [result.item_id for result in results] == ["q1-zh", "q1-en"]


def test_a_language_without_a_wording_is_refused(model, tokenizer) -> None:
    item = MultipleChoiceItem(id="q", lang="fr", question="?", choices=("a", "b"), answer=0)
    with pytest.raises(DataError, match="fr"):
        evaluate_choices(model, tokenizer, [item])


def test_the_probability_is_a_softmax_over_the_choices() -> None:
    """log-likelihoods ln 1, ln 2, ln 5: the right choice has 2 / 8; the last is predicted."""
    result = ChoiceResult(
        item_id="q",
        category="",
        cluster=None,
        lang="en",
        question="",
        choices=("a", "b", "c"),
        answer=1,
        log_likelihoods=(0.0, math.log(2), math.log(5)),
    )
    assert result.probability == pytest.approx(0.25)
    assert result.predicted == 2
    assert not result.is_correct


def test_a_model_has_no_divergence_from_itself_and_a_trained_one_has(model, tokenizer) -> None:
    engine = AutoregressiveEngine(model)
    documents = [Document(id=f"d{i}", lang="en", text=f"{i} the sky is blue") for i in range(4)]
    texts = sample_gauge_texts(
        engine, tokenizer, documents, num_samples=3, num_prompt_tokens=4, max_new_tokens=8, seed=1
    )
    assert [text.id for text in texts] == ["d0", "d1", "d2"]
    scores = {
        name: list(score_gauge_texts(one, model, texts))
        for name, one in (("itself", tiny_llama(seed=3).eval()), ("other", tiny_llama(seed=9)))
    }
    itself, other = (summarize_gauge(one, margin=0.05) for one in scores.values())
    # Other weights in memory with the same values: nothing may come of where they lie.
    assert [score.kl_nats for score in scores["itself"]] == [0.0] * 3
    assert [score.nats for score in scores["itself"]] == [one.base_nats for one in scores["other"]]
    assert other.kl_nats_per_token > 0.0
    assert itself.num_tokens == other.num_tokens == sum(len(text.token_ids) for text in texts)


def test_divergence_is_that_of_a_slow_float64_path(model, tokenizer) -> None:
    """Position by position over the whole vocabulary, in twice the precision."""
    documents = [Document(id="d", lang="en", text="state assets are supervised")]
    texts = sample_gauge_texts(
        AutoregressiveEngine(model), tokenizer, documents,
        num_samples=2, num_prompt_tokens=4, max_new_tokens=8, seed=1,
    )  # fmt: skip
    other = tiny_llama(seed=9).eval()
    for text, score in zip(texts, score_gauge_texts(other, model, texts), strict=True):
        ids = torch.tensor([[*text.prompt_token_ids, *text.token_ids]])
        start, divergence, nats = len(text.prompt_token_ids) - 1, 0.0, [0.0, 0.0]
        with torch.no_grad():
            logits = [one(input_ids=ids).logits[0].double() for one in (model, other)]
        for position, token in enumerate(text.token_ids, start=start):
            base, new = (torch.softmax(one[position], dim=-1) for one in logits)
            divergence += float((base * (base / new).log()).sum())
            nats = [
                total - math.log(float(one[token]))
                for total, one in zip(nats, (new, base), strict=True)
            ]
        assert score.kl_nats == pytest.approx(divergence, rel=1e-4)
        assert [score.nats, score.base_nats] == pytest.approx(nats, rel=1e-6)


def test_texts_of_one_passage_are_one_unit(model, tokenizer, tmp_path: Path) -> None:
    documents = [Document(id=f"d{i}", lang="en", text=f"{i} the sky is blue") for i in range(2)]
    texts = sample_gauge_texts(
        AutoregressiveEngine(model), tokenizer, documents,
        num_samples=5, num_prompt_tokens=4, max_new_tokens=8, seed=1,
    )  # fmt: skip
    assert [text.id for text in texts] == ["d0", "d0#2", "d0#3", "d1", "d1#2"]
    assert [text.passage for text in texts] == ["d0", "d0", "d0", "d1", "d1"]
    assert len({text.token_ids for text in texts}) == 5
    scores = list(score_gauge_texts(tiny_llama(seed=9).eval(), model, texts))
    write_gauge_scores(scores, tmp_path / "scores.jsonl")
    assert read_gauge_scores(tmp_path / "scores.jsonl") == scores
    judged = summarize_gauge(scores, margin=0.05).judged
    assert judged is not None
    assert (judged.kl_bits_per_byte.n, judged.kl_bits_per_byte.num_units) == (5, 2)
    assert judged.reason == "too_few_passages"


def test_a_rounded_model_passes_and_a_noised_one_fails(model, tokenizer) -> None:
    """The same texts and margin: bf16 weights do no harm, weights with noise do."""
    documents = [
        Document(id=f"d{i}", lang="en", text=f"{i} firms report to the state") for i in range(24)
    ]
    texts = sample_gauge_texts(
        AutoregressiveEngine(model), tokenizer, documents,
        num_samples=24, num_prompt_tokens=4, max_new_tokens=8, seed=1,
    )  # fmt: skip
    noise = torch.Generator().manual_seed(0)
    changes = {
        "PASS": lambda weight: weight.bfloat16().float(),
        "FAIL": lambda weight: weight + weight.std() * torch.randn(weight.shape, generator=noise),
    }
    for verdict, change in changes.items():
        changed = tiny_llama(seed=3).eval()
        with torch.no_grad():
            for weight in changed.parameters():
                if weight.dim() > 1:
                    weight.copy_(change(weight))
        judged = summarize_gauge(
            list(score_gauge_texts(changed, model, texts)), margin=0.005
        ).judged
        assert judged.verdict == verdict, judged


def test_the_same_seed_samples_the_same_gauge_texts(model, tokenizer, tmp_path: Path) -> None:
    documents = [Document(id="d", lang="en", text="state assets are supervised")]
    settings = {"num_samples": 1, "num_prompt_tokens": 4, "max_new_tokens": 8}
    first, again, other = (
        sample_gauge_texts(AutoregressiveEngine(model), tokenizer, documents, seed=seed, **settings)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    write_gauge_texts(first, tmp_path / "gauge.jsonl")
    assert read_gauge_texts(tmp_path / "gauge.jsonl") == first
    line = json.loads((tmp_path / "gauge.jsonl").read_text())
    del line["passage"]  # as files were before several texts shared a passage
    (tmp_path / "old.jsonl").write_text(json.dumps(line) + "\n")
    assert read_gauge_texts(tmp_path / "old.jsonl") == first


def test_bits_per_byte_of_a_uniform_model_by_hand(tokenizer) -> None:
    """A model whose logits are all zero gives each token 1 / vocabulary.

    6 tokens, 12 bytes: 6 * log2(vocabulary) / 12 bits a byte.
    """
    model = tiny_llama(seed=0).eval()
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    text = GaugeText(
        id="t", passage="t", prompt_token_ids=(5, 6), token_ids=(7, 8, 9, 10, 11, 12), num_bytes=12
    )
    gauge = summarize_gauge(list(score_gauge_texts(model, model, [text])), margin=None)
    assert gauge.judged is None
    assert gauge.bits_per_byte == pytest.approx(6 * math.log2(model.config.vocab_size) / 12)


def domain_items() -> list[DomainItem]:
    return [
        DomainItem(
            id=f"i{index}",
            lang="zh",
            instruction=f"问题{index}",
            input="",
            output="国有资产监督管理",
            meta={"doc_id": document, "category": "policy_qa"},
        )
        for index, document in enumerate(("a", "a", "b"))
    ]


def answers(model, tokenizer, items):
    settings = TextOverlapSettings(
        dataset=DomainTestRef(path="unused", kind="domain_test"),
        batch_size=2,
        unseen_documents=("b",),
    )
    context = RunContext(run_dir=Path(), spec_digest="0" * 64, events=Silent())
    engine = AutoregressiveEngine(model)
    return answer_items(engine, tokenizer, items, settings, context, max_new_tokens=6)


def test_answers_are_scored_in_order_and_apart_for_unseen_documents(model, tokenizer) -> None:
    samples = answers(model, tokenizer, domain_items())
    assert [sample.item_id for sample in samples] == ["i0", "i1", "i2"]
    assert [sample.document_seen for sample in samples] == [True, True, False]
    results = text_overlap_results(samples, max_new_tokens=6)
    assert results.max_new_tokens == 6
    assert results.n == 3
    assert results.documents_seen.n == 2
    assert results.documents_unseen.n == 1
    assert results.figures["cut_at_cap"] == sum(s.scores["cut_at_cap"] for s in samples) / 3


def test_what_is_written_is_what_is_compared(model, tokenizer, tmp_path: Path) -> None:
    """Compared with itself an evaluation has ratio 1, difference 0 and only ties."""
    items = [
        DomainItem(
            id=f"i{index}",
            lang="en",
            instruction=f"Question {index}",
            input="",
            output="a",
            meta={"doc_id": f"d{index}"},
        )
        for index in range(3)
    ]
    samples = answers(model, tokenizer, items)
    choices = evaluate_choices(model, tokenizer, ITEMS)
    path = tmp_path / "samples.parquet"
    write_samples(samples, choices, path)
    rows = read_samples(path, "text_overlap")
    assert [row["item_id"] for row in rows] == [item.id for item in items]
    assert rows[0]["answer"] == samples[0].answer
    compared = compare_overlap(rows, rows)
    assert compared["rouge1"].tied == 3
    assert compared["rouge1"].difference.value == 0.0
    assert compared["bleu4"].tied is None
    questions = read_samples(path, "general_ability")
    assert [row["item_id"] for row in questions] == ["q1-en", "q1-zh"]
    assert questions[0]["probability"] == pytest.approx(choices[0].probability)


def items_of_lengths(tokenizer, lengths) -> list[DomainItem]:
    """Questions whose references have so many tokens."""
    word = tokenizer.decode(tokenizer(" a", add_special_tokens=False).input_ids[-1:])
    return [
        DomainItem(id=f"i{number}", lang="en", instruction="Why?", input="", output=word * length)
        for number, length in enumerate(lengths)
    ]


@pytest.mark.parametrize(
    ("lengths", "context_length", "cap"),
    [
        ([15], 4_096, 16),  # with the token that ends the turn
        ([16], 4_096, 32),
        ([40] * 98 + [900, 900], 4_096, 912),  # the 99th of a hundred is a long one
        ([40] * 99 + [900], 4_096, 48),
        ([3] * 5, 4_096, 16),
    ],
)
def test_the_cap_follows_from_the_references(tokenizer, lengths, context_length, cap) -> None:
    items = items_of_lengths(tokenizer, lengths)
    assert [len(plain_token_ids(tokenizer, item.output)) for item in items] == lengths
    settings = TextOverlapSettings(dataset=DomainTestRef(path="unused", kind="domain_test"))
    assert answer_cap(settings, tokenizer, items, context_length=context_length) == cap
    fixed = settings.model_copy(update={"max_new_tokens": 7})
    assert answer_cap(fixed, tokenizer, items, context_length=context_length) == 7


def test_the_cap_leaves_room_for_the_longest_question(tokenizer) -> None:
    settings = TextOverlapSettings(dataset=DomainTestRef(path="unused", kind="domain_test"))
    (item,) = items_of_lengths(tokenizer, [500])
    prompt = len(ChatFormat(tokenizer).prompt((Message(role="user", content=item.prompt),)))
    assert answer_cap(settings, tokenizer, [item], context_length=prompt + 20) == 20


class Recorded(Silent):
    """What was emitted."""

    def __init__(self) -> None:
        self.payloads: list[object] = []

    def emit(self, payload: object) -> None:
        self.payloads.append(payload)


@pytest.mark.parametrize("num_cut", range(0, 31, 3))
def test_more_than_a_tenth_of_cut_answers_is_a_warning(tokenizer, model, num_cut) -> None:
    samples = answers(model, tokenizer, domain_items() * 10)
    cut = [
        replace(sample, scores={**sample.scores, "cut_at_cap": index < num_cut})
        for index, sample in enumerate(samples)
    ]
    results = text_overlap_results(cut, max_new_tokens=6)
    events = Recorded()
    context = RunContext(run_dir=Path(), spec_digest="0" * 64, events=events)
    for cap in (6, None):
        settings = TextOverlapSettings(
            dataset=DomainTestRef(path="unused", kind="domain_test"), max_new_tokens=cap
        )
        warn_of_cut_answers(results, settings, context)
    assert results.has_many_cut is (num_cut > 3)
    assert [event.code for event in events.payloads] == ["eval.answers_cut"] * 2 * (num_cut > 3)
    if events.payloads:
        given, of_references = (event.message for event in events.payloads)
        assert f"{num_cut / 30:.0%} of 30 answers were cut at 6 tokens" in given
        assert "leave it out" in given
        assert "leave it out" not in of_references
