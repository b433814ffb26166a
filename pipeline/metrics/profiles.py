"""Named definitions of text overlap. What one computes never changes under its name.

Evaluations store the figures of `canonical`; any other profile is computed from the stored answers
and references, by `python -m pipeline rescore` or by `Profile.score`. A measure's key means the
same kind of figure in each (ROUGE-1, BLEU-4), never the same figure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.contracts.rescoring import ProfileName
from pipeline.contracts.samples import Measure, Score, measures_of
from pipeline.metrics.lf_overlap import score_lf
from pipeline.metrics.text_overlap import ROUGE_SIGNATURE, bleu_signature, score_samples
from pipeline.metrics.written_forms import FORMS, one_written_form

Scorer = Callable[[Sequence[str], Sequence[str]], Sequence[Mapping[str, Score]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """A definition of text overlap."""

    name: ProfileName
    measures: tuple[Measure, ...]
    """The figures it has of a set of answers; `Measure.column` names them in `score`'s rows."""
    score: Scorer
    """Scores of each pair by column, in order; answers first, references second.

    Raises EvaluationError `eval.items_differ` for unequal numbers, and what its definition says."""
    signature: str
    """Everything the figures depend on; figures of unequal signatures are not comparable."""


def _canonical(predictions: Sequence[str], references: Sequence[str]) -> list[dict[str, Score]]:
    return [sample.columns() for sample in score_samples(predictions, references)]


def _canonical_2(predictions: Sequence[str], references: Sequence[str]) -> list[dict[str, Score]]:
    return _canonical(
        [one_written_form(text) for text in predictions],
        [one_written_form(text) for text in references],
    )


def _lf_measure(key: str) -> Measure:
    return Measure(
        key=key, task="text_overlap", column=key, type="float64", direction="higher",
        unit="points", aggregation="mean",
    )  # fmt: skip


def profiles() -> dict[ProfileName, Profile]:
    """Every profile by its name, the one that evaluations store first."""
    overlaps = tuple(
        measure
        for measure in measures_of("text_overlap", aggregated=True)
        if (measure.direction, measure.unit) == ("higher", "points")
    )
    canonical = f"{ROUGE_SIGNATURE} {bleu_signature()}"
    found = (
        Profile(name="canonical", measures=overlaps, score=_canonical, signature=canonical),
        Profile(
            name="canonical-v2",
            measures=overlaps,
            score=_canonical_2,
            signature=f"{canonical} forms:{FORMS}|opencc:1.4.2:t2s",
        ),
        Profile(
            name="lf-zh-v1",
            measures=tuple(map(_lf_measure, ("rouge1", "rouge2", "rougeL", "bleu4"))),
            score=score_lf,
            signature="jieba:0.42.1|rouge-chinese:1.0.3|nltk:3.10.4:method3|round:4|mean",
        ),
    )
    return {profile.name: profile for profile in found}
