"""Profile `lf-zh-v1` against jieba, rouge-chinese and NLTK, called as LLaMA-Factory calls them."""

import json
import random
from importlib.metadata import version
from pathlib import Path

import jieba
import pytest
import rjieba
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_chinese import Rouge

from pipeline.errors import EvaluationError
from pipeline.metrics.chinese_words import words
from pipeline.metrics.lf_overlap import rouge_words, score_lf
from pipeline.metrics.profiles import profiles

KEYS = ("rouge1", "rouge2", "rougeL", "bleu4")
DEMONSTRATION = Path(__file__).resolve().parents[2] / "examples/soae_demo"


@pytest.fixture(scope="module")
def cut():
    """jieba's own, without the cache file that it would share with everybody on the machine."""
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer.lcut


def original(cut, prediction: str, reference: str) -> list[float]:
    """The definition: each line is LLaMA-Factory's."""
    hypothesis, label = cut(prediction), cut(reference)
    if not " ".join(hypothesis).split() or not " ".join(label).split():
        rouge = [0.0, 0.0, 0.0]
    else:
        found = Rouge().get_scores(" ".join(hypothesis), " ".join(label))[0]
        rouge = [found[name]["f"] for name in ("rouge-1", "rouge-2", "rouge-l")]
    bleu = sentence_bleu(
        [list(reference)], list(prediction), smoothing_function=SmoothingFunction().method3
    )
    return [round(score * 100, 4) for score in (*rouge, bleu)]


def demonstration_texts(lang: str) -> list[str]:
    return [
        str(row.get("text") or row.get("output") or row.get("question"))
        for path in sorted(DEMONSTRATION.glob(f"*.{lang}.jsonl"))
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    ]


PIECES = [
    *"国企改革资产监管深化的是在。。！？?”’“，、 \n\t", "\r\n", "\u3000", "\x1c", "\x85", "\u2028",
    "......", "……", "ROE", "board", "the", "3.5%", "2023", "2023.12.31", "1,000", "A股", "C++", "-",
    "_", "+", ".", "&", "#", "３．５", "中央企业", "国有资产", "保值增值", "。\n", "。”", "？’",
    "𠮷", "\u9fd6", "é", "データ", "국유",
]  # fmt: skip


def mixed_texts(num_texts: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(PIECES, k=rng.randint(0, 25))) for _ in range(num_texts)]


@pytest.mark.slow
def test_scores_equal_the_original_on_2000_mixed_pairs(cut) -> None:
    texts = mixed_texts(3_400, seed=1)
    zh = demonstration_texts("zh")
    rng = random.Random(2)
    sentences = [text[start : start + 60] for text in zh for start in range(0, 120, 60)]
    predictions = texts[:1_700] + rng.choices(sentences, k=300)
    references = texts[1_700:] + rng.choices(sentences, k=300)
    assert len(predictions) == 2_000
    for prediction, reference, found in zip(
        predictions, references, score_lf(predictions, references), strict=True
    ):
        expected = original(cut, prediction, reference)
        assert [found[key] for key in KEYS] == pytest.approx(expected, rel=0, abs=1e-6)


def test_the_signature_names_the_releases_that_were_compared_with() -> None:
    signature = profiles()["lf-zh-v1"].signature
    for name in ("jieba", "rouge-chinese", "nltk"):
        assert f"{name}:{version(name)}" in signature


@pytest.mark.slow
def test_words_are_those_of_jieba_whatever_the_characters(cut) -> None:
    """All of jieba's alphabet in every mixture: near ties, dates, part numbers, its Latin words."""
    rng = random.Random(3)
    alphabets = [
        "aB3.-_+",
        "aB3.%-_+#&",
        "国企a1.-",
        "31.",
        "DVDKTBUTAPC卡恤超盘国",
        "国企",
        "国企改革是在的有个",
        "".join(chr(code) for code in range(0x20, 0x7F)) + "国企改革",
        "".join(chr(rng.randrange(0x3000, 0xA000)) for _ in range(3_000)),
        "".join(chr(rng.randrange(0x4E00, 0x9FD6)) for _ in range(500)),
    ]
    texts = mixed_texts(2_000, seed=4) + [
        "".join(rng.choices(alphabet, k=rng.randint(1, 12)))
        for alphabet in alphabets
        for _ in range(2_500)
    ]
    assert [text for text in texts if words(text) != cut(text)] == []


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_words_of_the_demonstration_are_those_of_jieba(cut, lang: str) -> None:
    texts = demonstration_texts(lang)
    assert len(texts) > 300
    assert [text for text in texts if words(text) != cut(text)] == []


@pytest.mark.parametrize("text", ["二者常在同一部译作中并用", "企企企企国", "2023.12.31", "A-1"])
def test_rjieba_alone_would_not_do(cut, text: str) -> None:
    """Two near ties of the model, and letters and digits joined by signs."""
    assert rjieba.cut(text) != cut(text) == words(text)


def test_every_word_of_the_dictionary_is_known_with_its_frequency(cut) -> None:
    """rjieba's dictionary is jieba's: otherwise some sentence would be cut differently."""
    frequencies = {word: n for word, n in cut.__self__.FREQ.items() if n}
    assert len(frequencies) > 340_000
    assert [word for word in frequencies if not rjieba.has_word(word)] == []
    # Where two words meet, frequencies decide.
    known = random.Random(5).choices(list(frequencies), k=12_000)
    pairs = [first + second for first, second in zip(known[::2], known[1::2], strict=True)]
    assert [text for text in pairs if words(text) != cut(text)] == []


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        # Repetition costs nothing: three equal words are one.
        ("改革 改革 改革", "改革", {"rouge1": 100.0, "rouge2": 0.0}),
        # BLEU of characters cannot reach 100 below four of them: (1 * 1/2 * 1/4 * 1/8) ** (1/4).
        ("是", "是", {"rouge1": 100.0, "rouge2": 0.0, "rougeL": 100.0, "bleu4": 35.3553}),
        ("同意", "同意", {"bleu4": 59.4604}),
        ("国资委", "国资委", {"bleu4": 84.0896}),
        ("", "同意", {"rouge1": 0.0, "rougeL": 0.0, "bleu4": 0.0}),
        ("同意", " \n", {"rouge1": 0.0, "bleu4": 0.0}),
        (" \n", " \n", {"rouge1": 0.0}),
        ("abc", "国企", {"rouge1": 0.0, "bleu4": 0.0}),
    ],
)
def test_scores_by_hand(prediction: str, reference: str, expected: dict[str, float]) -> None:
    (found,) = score_lf([prediction], [reference])
    assert {key: found[key] for key in expected} == expected


def test_a_blank_line_and_an_ended_line_are_words() -> None:
    assert rouge_words("甲。\n乙。") == ["甲", "。", "", "乙", "。"]
    assert rouge_words("甲\n\n乙") == ["甲", "", "乙"]
    assert rouge_words("甲\n\n") == ["甲"]
    assert rouge_words(" \n\u3000") == []


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(EvaluationError) as caught:
        score_lf(["a"], [])
    assert caught.value.code == "eval.items_differ"
