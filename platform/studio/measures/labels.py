"""What each measure is called and what it means.

Everything else about a measure stands in `pipeline.contracts.samples`; a measure without an entry
in `_LABELS` is an error when the platform starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from pipeline.contracts import samples
from pipeline.contracts.samples import Direction, Measure, Task, Unit

Text = str | Promise


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """The words for a measure, and how prominent it is."""

    name: Text
    definition: Text
    is_headline: bool = False
    """One of the few figures by which a result is known in lists and conclusions."""
    is_usual: bool = False
    """What a page of the measure's task shows until the reader chooses another."""


_LABELS: Mapping[str, Label] = {
    "rouge1": Label(
        name="ROUGE-1",
        definition=_("F1 of single tokens shared with the reference, mean over answers, 0 to 100."),
    ),
    "rouge2": Label(
        name="ROUGE-2",
        definition=_("F1 of token pairs shared with the reference, mean over answers, 0 to 100."),
    ),
    "rougeL": Label(
        name="ROUGE-L",
        definition=_(
            "F1 of the longest common subsequence of tokens, mean over answers, 0 to 100."
        ),
        is_headline=True,
        is_usual=True,
    ),
    "sentence_bleu": Label(
        name=_("BLEU of one answer"),
        definition=_("For looking at single answers only: its mean is not the corpus BLEU."),
    ),
    "bleu4": Label(
        name="BLEU-4",
        definition=_(
            "Corpus BLEU-4: n-gram counts are summed over all answers, so a single answer has no "
            "score; 0 to 100."
        ),
        is_headline=True,
    ),
    "reference_bits_per_byte": Label(
        name=_("Bits per byte of the reference answers"),
        definition=_(
            "How unlikely the model finds the reference answers, given their questions: bits / "
            "UTF-8 bytes, of all answers together. Nothing is generated, so neither style nor the "
            "token limit plays a part."
        ),
        is_headline=True,
    ),
    "num_answer_tokens": Label(
        name=_("Answer length"),
        definition=_("Tokens of an answer, mean; a Chinese character is one token."),
    ),
    "cut_at_cap": Label(
        name=_("Cut at the cap"),
        definition=_("Share of answers that reached the token limit before they ended."),
    ),
    "repeated_4gram_rate": Label(
        name=_("Repetition"),
        definition=_("Share of token 4-grams that occurred before in the same answer, mean."),
    ),
    "is_correct": Label(
        name=_("Accuracy"),
        definition=_("Share of questions whose right answer is the most probable choice."),
        is_headline=True,
    ),
    "probability": Label(
        name=_("Probability of the right choice"),
        definition=_("Probability given to the right answer among the choices, mean."),
        is_usual=True,
    ),
}
TASK_LABELS: Mapping[Task, Text] = {
    "text_overlap": _("Domain questions"),
    "general_ability": _("General ability"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownMeasure:
    """A measure with its words."""

    measure: Measure
    words: Label

    @property
    def key(self) -> str:
        return self.measure.key

    @property
    def task(self) -> Task:
        return self.measure.task

    @property
    def column(self) -> str:
        return self.measure.column

    @property
    def unit(self) -> Unit:
        return self.measure.unit

    @property
    def direction(self) -> Direction:
        return self.measure.direction

    @property
    def label(self) -> Text:
        return self.words.name

    @property
    def definition(self) -> Text:
        return self.words.definition

    @property
    def scale(self) -> float:
        """Stored shares are shown in per cent."""
        return 100.0 if self.unit == "percent" else 1.0

    @property
    def direction_label(self) -> Text:
        """Which way is better, in words."""
        return {
            "higher": _("higher is better"),
            "lower": _("lower is better"),
            "neutral": _("describes, neither better nor worse"),
        }[self.direction]


MEASURES: Mapping[str, ShownMeasure] = {
    measure.key: ShownMeasure(measure=measure, words=_LABELS[measure.key])
    for measure in samples.MEASURES
}


def set_measures() -> list[ShownMeasure]:
    """Measures that a set of items has a figure of."""
    return [one for one in MEASURES.values() if one.measure.aggregation != "none"]


def item_measures(task: Task) -> list[ShownMeasure]:
    """Measures by which a single item can be better or worse, the usual one first."""
    found = [
        one
        for one in MEASURES.values()
        if one.task == task and one.measure.has_item_score and one.direction != "neutral"
    ]
    return _usual_first(found)


def overlap_measures() -> list[ShownMeasure]:
    """How much of the references a set of answers says, in points."""
    return [
        one
        for one in set_measures()
        if one.task == "text_overlap" and (one.direction, one.unit) == ("higher", "points")
    ]


def describing_measures() -> list[ShownMeasure]:
    """What else is measured of answers to domain questions: length, cuts, repetition."""
    return [
        one
        for one in set_measures()
        if one.task == "text_overlap" and one.unit not in ("points", "bits_per_byte")
    ]


def usual_overlaps() -> list[ShownMeasure]:
    """The overlaps to choose one from, the usual one first."""
    return _usual_first(overlap_measures())


def headline_measures() -> list[ShownMeasure]:
    """The measures by which a result is known."""
    return [one for one in set_measures() if one.words.is_headline]


def _usual_first(measures: list[ShownMeasure]) -> list[ShownMeasure]:
    return sorted(measures, key=lambda one: not one.words.is_usual)
