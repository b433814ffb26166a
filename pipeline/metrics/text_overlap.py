"""ROUGE and BLEU of answers against references, profile `canonical`.

ROUGE is what the `rouge-score` library computes from the tokens of `tokenize`: its own tokenizer
keeps only `[a-z0-9]` and so scores every Chinese answer 0 (or, worse, on its digits alone). BLEU is
sacrebleu's corpus BLEU-4 with `tokenize=zh` and its signature. `ngram_overlap` counts for both,
because the libraries' own loops are quadratic. Every score is in points, 0 to 100, higher is
better. `docs/metrics.md` says what these scores do not see.
"""

import math
import re
import unicodedata
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from statistics import fmean

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from pipeline.contracts.evaluation_results import OverlapFigures
from pipeline.contracts.samples import Score, measures_of, number
from pipeline.errors import DataError
from pipeline.metrics.bleu_tokens import bleu_tokens
from pipeline.metrics.corpus_bleu import (
    MAX_NGRAM_ORDER,
    brevity_penalty,
    corpus_bleu_from_statistics,
)
from pipeline.metrics.ngram_overlap import (
    check_pairs,
    f1,
    longest_common_subsequence,
    num_ngrams,
    num_shared_ngrams,
    shared_ngrams_by_order,
)

ROUGE_SIGNATURE = "rouge-score:0.1.2|tok:canonical-1|stem:no|f1"
"""The release whose figures these are. Change `canonical-1` whenever `tokenize` gives other tokens
for any text."""

# Scripts written without spaces between words: Han with the iteration mark and the zero of
# 'er ling er san', Hangzhou numerals, kana (not the middle dot U+30FB), bopomofo, compatibility
# ideographs, half-width kana, and the supplementary ideographic planes.
_CJK = (
    "\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
    "\U00020000-\U0003fffd"
)
# A word is letters and digits of any other script; a full stop between two digits belongs to it,
# so that 3.5 shares nothing with 3.6.
_TOKEN = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+(?:(?<=\d)\.(?=\d)[^\W_{_CJK}]+)*")
_ASCII_TOKEN = re.compile(r"[a-z0-9]+(?:(?<=[0-9])\.(?=[0-9])[a-z0-9]+)*")
_GROUPED_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
# Letters, digits and the full stop only: the full-width comma separates clauses and list members,
# never thousands, so it must not become ASCII.
_FULL_WIDTH = {
    0xFEE0 + code: code for code in range(0x21, 0x7F) if chr(code).isalnum() or chr(code) == "."
}
_ANY_FULL_WIDTH = re.compile("[" + "".join(map(chr, _FULL_WIDTH)) + "]")


def tokenize(text: str) -> list[str]:
    """Returns the tokens that ROUGE and the length figures count.

    One token for each CJK character (Han, kana, bopomofo); one for each lower-cased run of letters
    and digits of any other script. Full-width letters and digits equal their ASCII forms, a decimal
    is one token ("3.5", "v2.0"), grouped thousands equal ungrouped ("1,000" is "1000"). Everything
    else, punctuation, symbols, `%`, signs and the underscore, separates tokens and is dropped. On
    ASCII text without decimals or grouped thousands the result equals rouge-score's default.
    """
    folded = unicodedata.normalize("NFC", text)
    if _ANY_FULL_WIDTH.search(folded):
        folded = folded.translate(_FULL_WIDTH)
    folded = folded.lower()
    if "," in folded:
        folded = _GROUPED_THOUSANDS.sub(lambda match: match[0].replace(",", ""), folded)
    return (_ASCII_TOKEN if folded.isascii() else _TOKEN).findall(folded)


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleOverlap:
    """Overlap of one answer with its reference; scores in points, 0 to 100."""

    rouge1: float
    rouge2: float
    rougeL: float  # noqa: N815 (the measure's name in the literature and in rouge-score)
    sentence_bleu: float
    """BLEU with `effective_order`, for showing one sample; its mean is not the corpus BLEU."""
    bleu_statistics: tuple[int, ...]
    """Answer length, reference length, matched 1..4-grams, answer's 1..4-grams (sacrebleu tokens).

    Summed over any set of samples they give that set's corpus BLEU.
    """
    num_answer_tokens: int
    num_reference_tokens: int

    def columns(self) -> dict[str, Score]:
        """The scores by column of `samples.parquet`."""
        return asdict(self)


def score_samples(predictions: Sequence[str], references: Sequence[str]) -> list[SampleOverlap]:
    """Returns one `SampleOverlap` for each pair, in order; an empty answer scores 0.

    Definition: ROUGE-N F1 = 2 * matches / (answer n-grams + reference n-grams) with clipped counts;
        ROUGE-L F1 the same with the longest common subsequence; sentence BLEU by sacrebleu
        (`tokenize=zh`, `smooth=exp`, `effective_order`).
    Direction: higher is better.
    Source: Lin 2004 (ROUGE); Papineni et al. 2002 (BLEU); rouge-score; sacrebleu (Post 2018).

    Raises:
        EvaluationError: `eval.items_differ`, the two sequences have different lengths.
        DataError: `data.row_invalid`, a reference has no token, so nothing could ever match it.
    """
    check_pairs(predictions, references)
    samples = []
    for index, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        expected = tokenize(reference)
        if not expected:
            raise DataError(
                "data.row_invalid",
                f"reference {index} is {reference[:40]!r}: it has no letter, digit or CJK character"
                " to compare an answer with; correct the row or leave it out of the test set",
            )
        answered = tokenize(prediction)
        rouge1, rouge2 = (_rouge_n(answered, expected, order) for order in (1, 2))
        common = longest_common_subsequence(answered, expected)
        statistics = _bleu_statistics(prediction, reference)
        samples.append(
            SampleOverlap(
                rouge1=rouge1,
                rouge2=rouge2,
                rougeL=100.0 * f1(common, len(answered), len(expected)),
                sentence_bleu=_sentence_bleu(statistics),
                bleu_statistics=statistics,
                num_answer_tokens=len(answered),
                num_reference_tokens=len(expected),
            )
        )
    return samples


def _rouge_n(answered: Sequence[str], expected: Sequence[str], order: int) -> float:
    num_matches = num_shared_ngrams(answered, expected, order)
    return 100.0 * f1(num_matches, num_ngrams(answered, order), num_ngrams(expected, order))


def _bleu_statistics(prediction: str, reference: str) -> tuple[int, ...]:
    answered, expected = bleu_tokens(prediction), bleu_tokens(reference)
    matches = shared_ngrams_by_order(answered, expected, MAX_NGRAM_ORDER)
    totals = (num_ngrams(answered, order) for order in range(1, MAX_NGRAM_ORDER + 1))
    return (len(answered), len(expected), *matches, *totals)


def _sentence_bleu(statistics: Sequence[int]) -> float:
    """What sacrebleu's `BLEU.compute_bleu` gives, step by step as there: to the last digit."""
    answer_length, reference_length, *counts = statistics
    matches, totals = counts[:MAX_NGRAM_ORDER], counts[MAX_NGRAM_ORDER:]
    if not any(matches):
        return 0.0
    precisions = []
    smoothing = 1.0
    for num_matches, total in zip(matches, totals, strict=True):
        if total == 0:
            break
        if num_matches == 0:
            smoothing *= 2.0
        precisions.append(
            100.0 * num_matches / total if num_matches else 100.0 / (smoothing * total)
        )
    is_short = answer_length < reference_length
    penalty = math.exp(1 - reference_length / answer_length) if is_short else 1.0
    return penalty * math.exp(sum(map(math.log, precisions)) / len(precisions))


def summarize(samples: Sequence[Mapping[str, Score]]) -> OverlapFigures:
    """Returns every figure of a set of answers, empty ones included.

    Definition: a measure's figure is the mean of the samples' scores, unweighted (macro) unless the
        measure has a weight; BLEU sums the n-gram counts over samples before dividing (micro).
    Direction: as each measure's, `contracts.samples`.
    Source: rouge-score and sacrebleu, as for `score_samples`.

    Args:
        samples: scores of each answer by column of `samples.parquet`; a measure without its column
            has no figure.

    Raises:
        DataError: `data.empty`, there is no sample.
    """
    if not samples:
        raise DataError("data.empty", "no sample to summarize; the test set has no row")
    totals = np.sum([sample["bleu_statistics"] for sample in samples], axis=0)
    figures = {"bleu4": float(corpus_bleu_from_statistics(totals))}
    for measure in measures_of("text_overlap"):
        if measure.aggregation == "mean" and measure.column in samples[0]:
            scores = [number(sample[measure.column]) for sample in samples]
            if measure.weight is not None:
                weights = [number(sample[measure.weight]) for sample in samples]
                figures[measure.key] = _weighted_mean(scores, weights)
                continue
            # Overlaps are summed exactly, rates and lengths in file order: the last digit of
            # figures that are stored depends on it.
            is_overlap = measure.unit == "points"
            figures[measure.key] = fmean(scores) if is_overlap else sum(scores) / len(scores)
    return OverlapFigures(
        n=len(samples),
        num_empty=sum(sample["num_answer_tokens"] == 0 for sample in samples),
        figures=figures,
        brevity_penalty=float(brevity_penalty(totals[0], totals[1])),
        mean_reference_tokens=fmean(number(sample["num_reference_tokens"]) for sample in samples),
    )


def _weighted_mean(scores: Sequence[float], weights: Sequence[float]) -> float:
    products = [score * weight for score, weight in zip(scores, weights, strict=True)]
    return math.fsum(products) / math.fsum(weights)


def repeated_4gram_rate(tokens: Sequence[Hashable]) -> float:
    """Returns the share of 4-grams that occurred before in the same answer; 0 below 4 tokens.

    Definition: 1 - distinct 4-grams / 4-grams, over token ids or text tokens.
    Direction: lower is better; 0 to 1. A degenerate answer also makes speculation look fast.
    Source: seq-rep-4, Welleck et al. 2019 (arXiv 1908.04319), section 6.
    """
    ngrams = [tuple(tokens[start : start + 4]) for start in range(len(tokens) - 3)]
    return 1.0 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0


@cache
def bleu_signature() -> str:
    """sacrebleu's own name of what `bleu4` computes."""
    metric = BLEU(tokenize="zh")
    metric.corpus_score([""], [[""]])  # the signature learns the number of references by scoring
    return str(metric.get_signature())
