"""ROUGE and BLEU against values worked out by hand and against the libraries that define them."""

import math
import random
import string
import time
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from pipeline.contracts.evaluation_results import OverlapFigures
from pipeline.errors import DataError, EvaluationError
from pipeline.metrics.bleu_tokens import bleu_tokens
from pipeline.metrics.corpus_bleu import NUM_BLEU_STATISTICS, corpus_bleu_from_statistics
from pipeline.metrics.text_overlap import (
    ROUGE_SIGNATURE,
    SampleOverlap,
    bleu_signature,
    repeated_4gram_rate,
    score_samples,
    summarize,
    tokenize,
)


def summary_of(predictions: list[str], references: list[str]) -> OverlapFigures:
    return summarize([sample.columns() for sample in score_samples(predictions, references)])


class CanonicalTokenizer:
    """Hands `tokenize` to rouge-score, which asks for an object."""

    tokenize = staticmethod(tokenize)


@dataclass(frozen=True, kw_only=True)
class HandCase:
    """One pair, counted by hand.

    `rouge` holds (matches, answer n-grams, reference n-grams) for ROUGE-1, ROUGE-2 and ROUGE-L; F1
    is 2 * matches / (answer + reference). `bleu_statistics` counts sacrebleu's tokens, which keep
    punctuation and case; `bleu` is BP * (p1 * p2 * p3 * p4) ** (1/4) from the comment.
    """

    prediction: str
    reference: str
    rouge: tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
    bleu_statistics: tuple[int, ...]
    bleu: float


HAND_CASES = {
    # 6 characters, the answer is the first 4. BLEU: all of 4,3,2,1 n-grams match, BP = e^(1-6/4).
    "zh_prefix": HandCase(
        prediction="国企改革",
        reference="国企改革深化",
        rouge=((4, 4, 6), (3, 3, 5), (4, 4, 6)),
        bleu_statistics=(4, 6, 4, 3, 2, 1, 4, 3, 2, 1),
        bleu=60.6531,
    ),
    # Counts are clipped: each of the two characters matches once though it is said three times;
    # of 5 bigrams only one (the first of three equal ones) matches. BLEU: 2/6, 1/5 and, smoothed,
    # (1/2)/4 and (1/4)/3, without a brevity penalty.
    "zh_repetition": HandCase(
        prediction="国企国企国企",
        reference="国企改革",
        rouge=((2, 6, 4), (1, 5, 3), (2, 6, 4)),
        bleu_statistics=(6, 4, 2, 1, 0, 0, 6, 5, 4, 3),
        bleu=16.2334,
    ),
    # Canonical tokens (100, yi, yuan) match of 6 and 7; bigrams "100 yi", "yi yuan". BLEU also
    # counts the full stop: 4/7, 3/6, 2/5, 1/4, BP = e^(1-8/7).
    "zh_number_and_full_stop": HandCase(
        prediction="净利润100亿元。",
        reference="营业收入100亿元。",
        rouge=((3, 6, 7), (2, 5, 6), (3, 6, 7)),
        bleu_statistics=(7, 8, 4, 3, 2, 1, 7, 6, 5, 4),
        bleu=35.6403,
    ),
    # "the board _ the plan"; bigrams "the board", "the plan". BLEU with the full stop has
    # precisions 5/6, 3/5, 1/4 ("the plan ."), smoothed (1/2)/3.
    "en_one_word_differs": HandCase(
        prediction="The board rejects the plan.",
        reference="The board approves the plan.",
        rouge=((4, 5, 5), (2, 4, 4), (4, 5, 5)),
        bleu_statistics=(6, 6, 5, 3, 1, 0, 6, 5, 4, 3),
        bleu=37.9918,
    ),
    # ROUGE folds case, so only the year differs; BLEU does not ("Net") and keeps the per cent sign:
    # 5/7, 4/6, 3/5, 2/4.
    "en_case_and_decimal": HandCase(
        prediction="net profit rose 3.5% in 2024",
        reference="Net profit rose 3.5% in 2023",
        rouge=((5, 6, 6), (4, 5, 5), (5, 6, 6)),
        bleu_statistics=(7, 7, 5, 4, 3, 2, 7, 6, 5, 4),
        bleu=61.4788,
    ),
    # roe, ti, sheng, _, 12.5; bigrams "roe ti", "ti sheng". BLEU: "ROE" and the full-width per cent
    # sign do not match: 3/6, 1/5, (1/2)/4, (1/4)/3.
    "mixed_full_width": HandCase(
        prediction="roe提升到12.5％",
        reference="ROE提升至12.5%",
        rouge=((4, 5, 5), (2, 4, 4), (4, 5, 5)),
        bleu_statistics=(6, 6, 3, 1, 0, 0, 6, 5, 4, 3),
        bleu=17.9652,
    ),
    # Two characters have no trigram: effective order 2, so a short exact match still scores 100.
    "zh_short_exact": HandCase(
        prediction="同意",
        reference="同意",
        rouge=((2, 2, 2), (1, 1, 1), (2, 2, 2)),
        bleu_statistics=(2, 2, 2, 1, 0, 0, 2, 1, 0, 0),
        bleu=100.0,
    ),
    "zh_empty_answer": HandCase(
        prediction="",
        reference="央企",
        rouge=((0, 0, 2), (0, 0, 1), (0, 0, 2)),
        bleu_statistics=(0, 2, 0, 0, 0, 0, 0, 0, 0, 0),
        bleu=0.0,
    ),
    # The same four words, the last moved to the front: bigrams "state owned", "owned enterprise";
    # longest common subsequence 3. BLEU: 4/4, 2/3, 1/2, (1/2)/1.
    "en_order": HandCase(
        prediction="reform state owned enterprise",
        reference="state owned enterprise reform",
        rouge=((4, 4, 4), (2, 3, 3), (3, 4, 4)),
        bleu_statistics=(4, 4, 4, 2, 1, 0, 4, 3, 2, 1),
        bleu=63.8943,
    ),
    # "A" and "gu" are left out: 5 of 7 unigrams; bigrams "sasac jian", "jian guan", "gong si".
    # BLEU: 5/5, 3/4, 1/3, (1/2)/2, BP = e^(1-7/5).
    "mixed_omission": HandCase(
        prediction="SASAC监管公司",
        reference="SASAC监管A股公司",
        rouge=((5, 5, 7), (3, 4, 6), (5, 5, 7)),
        bleu_statistics=(5, 7, 5, 3, 1, 0, 5, 4, 3, 2),
        bleu=33.5160,
    ),
}


@pytest.mark.parametrize("case", HAND_CASES.values(), ids=HAND_CASES.keys())
def test_sample_scores_equal_the_values_worked_out_by_hand(case: HandCase):
    (sample,) = score_samples([case.prediction], [case.reference])
    expected = [200.0 * matches / (answer + ref) for matches, answer, ref in case.rouge]
    assert [sample.rouge1, sample.rouge2, sample.rougeL] == pytest.approx(expected, abs=1e-9)
    assert sample.bleu_statistics == case.bleu_statistics
    assert sample.sentence_bleu == pytest.approx(case.bleu, abs=1e-4)


def test_corpus_scores_equal_the_values_worked_out_by_hand():
    cases = HAND_CASES.values()
    summary = summary_of([case.prediction for case in cases], [case.reference for case in cases])
    # Columns of the table above: 34/47, 21/38, 10/29, 4/21 and BP = e^(1-52/47).
    precision = (34 / 47) * (21 / 38) * (10 / 29) * (4 / 21)
    assert summary.figures["bleu4"] == pytest.approx(
        100 * math.exp(1 - 52 / 47) * precision**0.25, abs=1e-9
    )
    assert summary.figures["bleu4"] == pytest.approx(36.19206, abs=1e-4)
    assert summary.brevity_penalty == pytest.approx(0.899080, abs=1e-6)
    # 80, 40, 600/13, 80, 1000/12, 80, 100, 0, 100, 1000/12
    assert summary.figures["rouge1"] == pytest.approx((480 + 600 / 13 + 2000 / 12) / 10)
    # 75, 25, 400/11, 50, 80, 50, 100, 0, 400/6, 60
    assert summary.figures["rouge2"] == pytest.approx((440 + 400 / 11 + 400 / 6) / 10)
    # as ROUGE-1 but 75 for the moved word
    assert summary.figures["rougeL"] == pytest.approx((455 + 600 / 13 + 2000 / 12) / 10)
    assert (summary.n, summary.num_empty) == (10, 1)
    assert summary.figures["num_answer_tokens"] == pytest.approx(
        (4 + 6 + 6 + 5 + 6 + 5 + 2 + 0 + 4 + 5) / 10
    )
    assert summary.mean_reference_tokens == pytest.approx(
        (6 + 4 + 7 + 5 + 6 + 5 + 2 + 2 + 4 + 7) / 10
    )
    assert bleu_signature() == "nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|version:2.6.0"
    assert ROUGE_SIGNATURE == "rouge-score:0.1.2|tok:canonical-1|stem:no|f1"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("国有资产，保值增值。", list("国有资产保值增值")),
        ("《企业国有资产法》第3条", [*"企业国有资产法第", "3", "条"]),
        ("营业收入3.5亿元", [*"营业收入", "3.5", *"亿元"]),
        ("营业收入３．５亿元", [*"营业收入", "3.5", *"亿元"]),
        ("Ａ股、ROE", ["a", "股", "roe"]),
        ("二〇二三年々", list("二〇二三年々")),
        ("1,000,000 shares, 12,345.6 yuan", ["1000000", "shares", "12345.6", "yuan"]),
        ("2023,100 and 1,2,3", ["2023", "100", "and", "1", "2", "3"]),
        ("2023，100，200", ["2023", "100", "200"]),
        ("v2.0 of U.S. GAAP. 5th", ["v2.0", "of", "u", "s", "gaap", "5th"]),
        ("don't a_b state-owned", ["don", "t", "a", "b", "state", "owned"]),
        ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
        ("10\u00b2 is not 102", ["10\u00b2", "is", "not", "102"]),
        ("データ・ベース", [*"データ", *"ベース"]),
        ("국유 기업 Госкомпания", ["국유", "기업", "госкомпания"]),
        ("𠮷野", ["𠮷", "野"]),
        ("\uf900", ["\u8c48"]),  # a compatibility ideograph equals its unified form
        ("…！？ \n\t", []),
    ],
)
def test_tokenize(text: str, tokens: list[str]):
    assert tokenize(text) == tokens


def test_a_chinese_character_beside_it_changes_no_other_token():
    """Text of ASCII alone takes a shorter way."""
    rng = random.Random(8)
    for _ in range(3_000):
        text = "".join(rng.choices("aB05..,-_ %", k=rng.randint(0, 12)))
        assert tokenize(f"{text} 国")[:-1] == tokenize(text)


def test_default_tokenizer_of_rouge_score_gives_zero_on_chinese_and_ours_does_not():
    reference, prediction = "国有企业改革深化提升行动", "国有企业改革行动"
    default = RougeScorer(["rouge1"]).score(reference, prediction)
    assert default["rouge1"].fmeasure == 0.0
    (sample,) = score_samples([prediction], [reference])
    assert sample.rouge1 == pytest.approx(200 * 8 / (8 + 12))


def test_default_tokenizer_of_rouge_score_gives_full_marks_to_another_statement():
    """It sees only "2023" and "100", which the two statements share."""
    reference, prediction = "2023年营业收入100亿元", "2023年净利润100亿元"
    default = RougeScorer(["rouge1"]).score(reference, prediction)
    assert default["rouge1"].fmeasure == 1.0
    (sample,) = score_samples([prediction], [reference])
    assert sample.rouge1 == pytest.approx(200 * 5 / (8 + 9))


def _random_pairs(num_pairs: int, seed: int) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    pieces = [*"国企改革资产监管深化，。", "ROE", "a", "the", "board", "3.5%", "2023", "１２", " "]
    predictions, references = (
        ["".join(rng.choices(pieces, k=rng.randint(low, 30))) for _ in range(num_pairs)]
        for low in (0, 1)
    )
    return predictions, ["国" + reference for reference in references]


@pytest.fixture(scope="module")
def mixed_pairs() -> tuple[list[str], list[str], list[SampleOverlap]]:
    predictions, references = _random_pairs(2_000, seed=1)
    return predictions, references, score_samples(predictions, references)


def test_rouge_equals_rouge_score_on_random_mixed_pairs(mixed_pairs):
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=CanonicalTokenizer())
    for prediction, reference, sample in zip(*mixed_pairs, strict=True):
        expected = scorer.score(reference, prediction)
        for name in ("rouge1", "rouge2", "rougeL"):
            assert getattr(sample, name) == pytest.approx(
                100 * expected[name].fmeasure, rel=0, abs=1e-12
            )
    assert version("rouge-score") in ROUGE_SIGNATURE


def test_rouge_of_chinese_equals_the_library_default_on_one_ascii_word_per_character():
    """The library and its own tokenizer are the oracle: only the alphabet differs."""
    rng = random.Random(2)
    characters = "国企改革资产监管深化提升行动治理"
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    pairs = [
        tuple("".join(rng.choices(characters, k=rng.randint(1, 30))) for _ in range(2))
        for _ in range(100)
    ]
    samples = score_samples([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    for (prediction, reference), sample in zip(pairs, samples, strict=True):
        expected = scorer.score(
            *(
                " ".join(f"w{characters.index(char)}" for char in text)
                for text in (reference, prediction)
            )
        )
        for name in ("rouge1", "rouge2", "rougeL"):
            assert getattr(sample, name) == pytest.approx(100 * expected[name].fmeasure, abs=1e-9)


def test_rouge_of_plain_english_equals_the_library_default():
    rng = random.Random(3)
    alphabet = string.ascii_letters[:6] + string.ascii_uppercase[:4] + "12 -_'!;  "
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for _ in range(100):
        prediction, reference = ("x" + "".join(rng.choices(alphabet, k=40)) for _ in range(2))
        (sample,) = score_samples([prediction], [reference])
        expected = scorer.score(reference, prediction)
        for name in ("rouge1", "rouge2", "rougeL"):
            assert getattr(sample, name) == pytest.approx(100 * expected[name].fmeasure, abs=1e-9)


@pytest.mark.slow
def test_bleu_counts_the_tokens_of_sacrebleu():
    """Each character that Unicode has beside letters, digits and full stops; random punctuation."""
    theirs = BLEU(tokenize="zh").tokenizer
    surrogates = range(0xD800, 0xE000)
    texts = [f"a1{chr(code)}b.{chr(code)}3" for code in range(0x3000) if code not in surrogates] + [
        f"a1{chr(code)}b" for code in range(0x3000, 0x110000, 7) if code not in surrogates
    ]
    rng = random.Random(6)
    pieces = [*"0123..,,--'\"\u201c\u3001\u3002国企ab \n\t\u3000\x1c%$/"]
    texts += ["".join(rng.choices(pieces, k=rng.randint(0, 14))) for _ in range(20_000)]
    assert [text for text in texts if theirs(text.rstrip()).split() != bleu_tokens(text)] == []


@pytest.mark.slow
def test_bleu_equals_sacrebleu_on_random_mixed_pairs(mixed_pairs):
    predictions, references, samples = mixed_pairs
    expected = BLEU(tokenize="zh").corpus_score(predictions, [references])
    summary = summarize([sample.columns() for sample in samples])
    assert summary.figures["bleu4"] == pytest.approx(expected.score, rel=0, abs=1e-12)
    assert summary.brevity_penalty == pytest.approx(expected.bp, rel=0, abs=1e-12)
    sentence = BLEU(tokenize="zh", effective_order=True)
    for prediction, reference, sample in zip(*mixed_pairs, strict=True):
        theirs = sentence.sentence_score(prediction, [reference])
        # To the last digit: the column is stored.
        assert sample.sentence_bleu == theirs.score
        assert sample.bleu_statistics == (
            theirs.sys_len, theirs.ref_len, *theirs.counts, *theirs.totals
        )  # fmt: skip


def test_scoring_is_linear_in_memory_and_fast_on_long_answers():
    """The loop it replaced needs minutes and gigabytes for this pair."""
    rng = random.Random(7)
    prediction, reference = (
        "".join(chr(rng.randrange(0x4E00, 0x5120)) for _ in range(20_000)) for _ in range(2)
    )
    began = time.process_time()
    (sample,) = score_samples([prediction], [reference])
    assert time.process_time() - began < 1.0
    assert 0 < sample.rougeL < sample.rouge1 < 100


def test_vectorised_corpus_bleu_equals_sacrebleu_for_any_resample():
    """Small resamples reach every branch: no match, missing orders, smoothing, short answers."""
    predictions, references = _random_pairs(60, seed=5)
    predictions[:6] = ["", "xyz", "国", "国企", "产权登记管理", references[5]]
    statistics = np.array(
        [sample.bleu_statistics for sample in score_samples(predictions, references)]
    )
    rng = np.random.default_rng(0)
    resamples = [[index] for index in range(6)]
    resamples += [list(rng.integers(0, 60, size=size)) for size in (1, 2, 3, 60) for _ in range(15)]
    ours = corpus_bleu_from_statistics(
        np.array([statistics[rows].sum(axis=0) for rows in resamples])
    )
    metric = BLEU(tokenize="zh")
    theirs = [
        metric.corpus_score(
            [predictions[row] for row in rows], [[references[row] for row in rows]]
        ).score
        for rows in resamples
    ]
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert min(theirs) == 0.0
    assert statistics.shape == (60, NUM_BLEU_STATISTICS)


def test_an_empty_answer_lowers_every_mean_and_is_counted():
    full = summary_of(["国企改革深化"], ["国企改革深化"])
    half = summary_of(["国企改革深化", " \n。"], ["国企改革深化", "国企改革深化"])
    assert (
        full.figures["rouge1"],
        half.figures["rouge1"],
        half.figures["rouge2"],
        half.figures["rougeL"],
    ) == pytest.approx((100, 50, 50, 50))
    assert (full.num_empty, half.num_empty, half.n) == (0, 1, 2)
    assert half.figures["bleu4"] < full.figures["bleu4"] == pytest.approx(100.0)
    none = summary_of(["", ""], ["国企", "改革"])
    assert (
        none.figures["rouge1"],
        none.figures["bleu4"],
        none.brevity_penalty,
        none.num_empty,
    ) == (0, 0, 0, 2)


def test_unequal_lengths_are_refused():
    with pytest.raises(EvaluationError, match="1 predictions for 2 references") as caught:
        score_samples(["a"], ["a", "b"])
    assert caught.value.code == "eval.items_differ"


def test_a_reference_that_nothing_can_match_is_refused_by_index():
    with pytest.raises(DataError, match="reference 1 is '。'") as caught:
        score_samples(["a", "b"], ["a", "。"])
    assert caught.value.code == "data.row_invalid"


def test_no_samples_are_refused():
    with pytest.raises(DataError) as caught:
        summarize([])
    assert caught.value.code == "data.empty"


@pytest.mark.parametrize(
    ("tokens", "rate"),
    [
        ([], 0.0),
        ([1, 2, 3], 0.0),
        ([1, 2, 3, 4, 5], 0.0),
        ([1, 1, 1, 1, 1, 1], 2 / 3),  # three 4-grams, one distinct
        ([1, 2, 3, 4, 1, 2, 3, 4], 1 / 5),  # five 4-grams, the last equals the first
        (list("国企改革国企改革"), 1 / 5),
    ],
)
def test_repeated_4gram_rate(tokens: list[object], rate: float):
    assert repeated_4gram_rate(tokens) == pytest.approx(rate)
