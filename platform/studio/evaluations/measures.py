"""What each figure on the dashboards means: its name, unit, direction and definition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from studio.evaluations.sample_files import Task

Text = str | Promise
Unit = Literal["points", "percent", "tokens"]
Direction = Literal["higher", "lower", "neutral"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A figure of a set of answers."""

    key: str
    task: Task
    label: Text
    unit: Unit
    direction: Direction
    """Which way is better; neutral figures describe and are never called better or worse."""
    definition: Text
    is_corpus_figure: bool = False
    """Has no score for a single item."""
    is_headline: bool = False

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


def _rouge(key: str, label: str, what: Text) -> Measure:
    return Measure(
        key=key,
        task="text_overlap",
        label=label,
        unit="points",
        direction="higher",
        definition=what,
        is_headline=key != "rouge2",
    )


_ALL = (
    _rouge(
        "rouge1",
        "ROUGE-1",
        _("F1 of single tokens shared with the reference, mean over answers, 0 to 100."),
    ),
    _rouge(
        "rouge2",
        "ROUGE-2",
        _("F1 of token pairs shared with the reference, mean over answers, 0 to 100."),
    ),
    _rouge(
        "rougeL",
        "ROUGE-L",
        _("F1 of the longest common subsequence of tokens, mean over answers, 0 to 100."),
    ),
    Measure(
        key="bleu4",
        task="text_overlap",
        label="BLEU-4",
        unit="points",
        direction="higher",
        definition=_(
            "Corpus BLEU-4: n-gram counts are summed over all answers, so a single answer has no "
            "score; 0 to 100."
        ),
        is_corpus_figure=True,
        is_headline=True,
    ),
    Measure(
        key="num_answer_tokens",
        task="text_overlap",
        label=_("Answer length"),
        unit="tokens",
        direction="neutral",
        definition=_("Tokens of an answer, mean; a Chinese character is one token."),
    ),
    Measure(
        key="cut_at_cap",
        task="text_overlap",
        label=_("Cut at the cap"),
        unit="percent",
        direction="lower",
        definition=_("Share of answers that reached the token limit before they ended."),
    ),
    Measure(
        key="repeated_4gram_rate",
        task="text_overlap",
        label=_("Repetition"),
        unit="percent",
        direction="lower",
        definition=_("Share of token 4-grams that occurred before in the same answer, mean."),
    ),
    Measure(
        key="is_correct",
        task="general_ability",
        label=_("Accuracy"),
        unit="percent",
        direction="higher",
        definition=_("Share of questions whose right answer is the most probable choice."),
        is_headline=True,
    ),
    Measure(
        key="probability",
        task="general_ability",
        label=_("Probability of the right choice"),
        unit="percent",
        direction="higher",
        definition=_("Probability given to the right answer among the choices, mean."),
        is_headline=True,
    ),
)
MEASURES: Mapping[str, Measure] = {measure.key: measure for measure in _ALL}

SENTENCE_BLEU = Measure(
    key="sentence_bleu",
    task="text_overlap",
    label=_("BLEU of one answer"),
    unit="points",
    direction="higher",
    definition=_("For looking at single answers only: its mean is not the corpus BLEU."),
)
TASK_LABELS: Mapping[str, Text] = {
    "text_overlap": _("Domain questions"),
    "general_ability": _("General ability"),
}


def item_measures(task: Task) -> list[Measure]:
    """Measures that a single item has a score of, the usual one first."""
    if task == "general_ability":
        return [MEASURES["probability"], MEASURES["is_correct"]]
    return [MEASURES["rougeL"], MEASURES["rouge1"], MEASURES["rouge2"], SENTENCE_BLEU]
