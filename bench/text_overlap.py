"""Scoring answers with ROUGE and BLEU: ours against the libraries that define the scores.

Profile `canonical` against the loop it replaced (`rouge-score` with our tokens, sacrebleu's
sentence score), profile `lf-zh-v1` against LLaMA-Factory's (jieba, rouge-chinese, NLTK). Both score
the same pairs on one core, in turns: random Chinese of several lengths, Chinese mixed with numbers
and Latin words, and texts of the demonstration. Every score must be equal, to 1e-12 and 1e-6
points, and one answer of 20,000 characters against 20,000 take less than a second.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import cast

import jieba
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_chinese import Rouge
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from bench.protocol import Result, Table, interleaved, paired_ratios, quartiles
from pipeline.contracts.samples import number
from pipeline.metrics.lf_overlap import score_lf
from pipeline.metrics.text_overlap import score_samples, tokenize

DEMONSTRATION = Path(__file__).resolve().parents[1] / "examples/soae_demo"
NUM_CHARACTERS = 800
LONG = 20_000
BUDGET_SECONDS = 1.0
LATIN = ("ROE", "3.5%", "2023", "1,000", "board", "A股", "。", "，", " ")
ROUGE = ("rouge1", "rouge2", "rougeL")

Texts = Sequence[str]
Scores = list[list[float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Answers with their references."""

    name: str
    answers: Texts
    references: Texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Rivals:
    """A definition, as we compute it and as the libraries do."""

    profile: str
    tolerance: float
    """Points."""
    ours: Callable[[Texts, Texts], Scores]
    libraries: Callable[[Texts, Texts], Scores]


def random_case(
    name: str, *, num_tokens: int, num_pairs: int, seed: int, is_mixed: bool = False
) -> Case:
    """Pairs of one length; a third of the text of each answer is the reference's."""
    chance = random.Random(f"{seed}/{name}")
    alphabet = [chr(0x4E00 + code) for code in range(NUM_CHARACTERS)]
    if is_mixed:
        alphabet = alphabet[:90] + list(LATIN) * 10
    references = ["国" + "".join(chance.choices(alphabet, k=num_tokens)) for _ in range(num_pairs)]
    third = num_tokens // 3
    answers = [
        reference[:third] + "".join(chance.choices(alphabet, k=num_tokens - third))
        for reference in references
    ]
    return Case(name=name, answers=answers, references=references)


def demonstration_case(lang: str) -> Case:
    """Reference answers of the test questions, against expert answers to other questions."""
    outputs = [
        [
            json.loads(line)["output"]
            for line in (DEMONSTRATION / f"{name}.{lang}.jsonl").read_text("utf-8").splitlines()
        ]
        for name in ("sft_expert", "domain_test")
    ]
    answers, references = zip(*zip(*outputs, strict=False), strict=True)
    return Case(name=f"demonstration, {lang}", answers=answers, references=references)


def cases(seed: int) -> list[Case]:
    """What is measured."""
    return [
        random_case("30 characters", num_tokens=30, num_pairs=300, seed=seed),
        random_case("100 characters", num_tokens=100, num_pairs=100, seed=seed),
        random_case("300 characters", num_tokens=300, num_pairs=30, seed=seed),
        random_case("300 mixed", num_tokens=300, num_pairs=30, seed=seed, is_mixed=True),
        random_case("1,000 characters", num_tokens=1000, num_pairs=1, seed=seed),
        demonstration_case("zh"),
        demonstration_case("en"),
    ]


def canonical_ours(answers: Texts, references: Texts) -> Scores:
    """Ours, profile `canonical`."""
    return [
        [sample.rouge1, sample.rouge2, sample.rougeL, sample.sentence_bleu]
        for sample in score_samples(answers, references)
    ]


class _Tokenizer:
    """Hands `tokenize` to rouge-score, which asks for an object."""

    tokenize = staticmethod(tokenize)


def canonical_libraries(answers: Texts, references: Texts) -> Scores:
    """The loop that ours replaced."""
    rouge = RougeScorer(list(ROUGE), tokenizer=_Tokenizer())
    bleu = BLEU(tokenize="zh", effective_order=True)
    scores = []
    for answer, reference in zip(answers, references, strict=True):
        found = rouge.score(target=reference, prediction=answer)
        sentence = bleu.sentence_score(answer, [reference])
        scores.append([*(100 * found[name].fmeasure for name in ROUGE), sentence.score])
    return scores


def lf_ours(answers: Texts, references: Texts) -> Scores:
    """Ours, profile `lf-zh-v1`."""
    return [
        [number(score[name]) for name in (*ROUGE, "bleu4")]
        for score in score_lf(answers, references)
    ]


@cache
def _jieba() -> Callable[[str], list[str]]:
    """Without jieba's cache file, which it shares with everybody on the machine."""
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return cast("Callable[[str], list[str]]", tokenizer.lcut)


def lf_libraries(answers: Texts, references: Texts) -> Scores:
    """As LLaMA-Factory calls the libraries."""
    cut, smoothing = _jieba(), SmoothingFunction().method3
    scores = []
    for answer, reference in zip(answers, references, strict=True):
        hypothesis, expected = (" ".join(cut(text)) for text in (answer, reference))
        found = {name: {"f": 0.0} for name in ("rouge-1", "rouge-2", "rouge-l")}
        if hypothesis.split() and expected.split():
            found = Rouge().get_scores(hypothesis, expected)[0]
        bleu = sentence_bleu([list(reference)], list(answer), smoothing_function=smoothing)
        scores.append([round(100 * one, 4) for one in (*(f["f"] for f in found.values()), bleu)])
    return scores


RIVALS = (
    Rivals(
        profile="canonical",
        tolerance=1e-12,
        ours=canonical_ours,
        libraries=canonical_libraries,
    ),
    Rivals(profile="lf-zh-v1", tolerance=1e-6, ours=lf_ours, libraries=lf_libraries),
)


def run(arguments: Sequence[str]) -> Result:
    """Both ways on every case, and ours alone on the longest."""
    parser = argparse.ArgumentParser(prog="python -m bench text_overlap")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rows: list[list[object]] = []
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    spread: dict[str, tuple[float, float]] = {}
    failures: list[str] = []
    long = random_case("long", num_tokens=LONG, num_pairs=1, seed=options.seed)
    for rivals in RIVALS:
        for case in cases(options.seed):
            # Once untimed: dictionaries are loaded, and the scores are compared.
            difference = _largest_difference(rivals, case)
            if difference > rivals.tolerance:
                failures.append(f"{rivals.profile}, {case.name}: a score differs by {difference}")
            ours, libraries = _times(rivals, case, options.repeats)
            times = paired_ratios(libraries, ours)
            key = _key(f"{rivals.profile} libraries_vs_ours {case.name}")
            ratios[key], spread[key] = statistics.median(times), quartiles(times)
            each = [1000 * statistics.median(arm) / len(case.answers) for arm in (ours, libraries)]
            rows.append(
                [rivals.profile, case.name, len(case.answers), *each, ratios[key], *spread[key],
                 f"{difference:.0e}"]
            )  # fmt: skip
            print(f"{rivals.profile}, {case.name}: {ratios[key]:.1f} times", file=sys.stderr)
        seconds = _timed(partial(rivals.ours, long.answers, long.references))
        key = _key(f"{rivals.profile} ours_20000_characters_seconds")
        figures[key] = statistics.median(seconds() for _ in range(options.repeats))
        if figures[key] >= BUDGET_SECONDS:
            failures.append(f"{rivals.profile}: {LONG} characters took {figures[key]:.2f} s")
    return Result(
        table=Table(
            columns=["profile", "pairs of", "n", "ours, ms each", "libraries, ms each",
                     "libraries / ours", "first quartile", "third quartile",
                     "largest difference, points"],
            rows=rows,
        ),
        figures=figures, ratios=ratios, spread=spread, failures=failures,
    )  # fmt: skip


def _largest_difference(rivals: Rivals, case: Case) -> float:
    pairs = zip(
        rivals.ours(case.answers, case.references),
        rivals.libraries(case.answers, case.references),
        strict=True,
    )
    return max(
        abs(mine - other)
        for ours, theirs in pairs
        for mine, other in zip(ours, theirs, strict=True)
    )


def _times(rivals: Rivals, case: Case, repeats: int) -> tuple[list[float], list[float]]:
    seconds = interleaved(
        {
            "ours": _timed(lambda: rivals.ours(case.answers, case.references)),
            "libraries": _timed(lambda: rivals.libraries(case.answers, case.references)),
        },
        repeats=repeats,
    )
    return seconds["ours"], seconds["libraries"]


def _key(text: str) -> str:
    return text.replace(",", "").replace("-", "_").replace(" ", "_")


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    def seconds() -> float:
        # sacrebleu remembers the texts it has seen.
        TokenizerZh.__call__.cache_clear()
        TokenizerRegexp.__call__.cache_clear()
        began = time.process_time()
        work()
        return time.process_time() - began

    return seconds
