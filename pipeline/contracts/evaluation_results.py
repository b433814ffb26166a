"""What an evaluation found; `docs/metrics.md` defines each figure."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.estimates import Estimate, PairedFigure
from pipeline.contracts.gauge_results import GaugeResults
from pipeline.contracts.harness_tasks import HarnessTaskResults
from pipeline.contracts.samples import NullName
from pipeline.contracts.verdicts import Verdict


class Reason(StrEnum):
    """Why the verdict is what it is."""

    INTERVAL = "interval"
    """The interval lies on one side of 1 - margin."""
    INTERVAL_CROSSES_MARGIN = "interval_crosses_margin"
    TOO_FEW_ITEMS = "too_few_items"
    """So few that a loss of the margin could have left no trace among them."""
    TOO_FEW_CLUSTERS = "too_few_clusters"
    """The items fall into so few clusters that nothing can be said of others."""
    BASE_NEAR_CHANCE = "base_near_chance"
    """The base itself hardly does better than guessing: there is nothing to retain."""
    ITEMS_MISSING = "items_missing"
    CATEGORY_FAILED = "category_failed"
    """The macro average would pass, but a category fails by itself."""
    CLUSTER_FAILED = "cluster_failed"
    """The macro average would pass, but a cluster (a subject, a passage) fails by itself."""


MAX_CUT_SHARE = 0.1
"""Of answers cut at the cap: above it, figures of overlap come with a warning."""


class OverlapFigures(Contract):
    """How much a set of answers shares with its references."""

    n: int = Field(ge=1)
    num_empty: int
    """Answers without a single token; each counts as 0 in every mean."""
    figures: dict[str, float]
    """By key of `contracts.samples.MEASURES`, task `text_overlap`."""
    brevity_penalty: float
    """1 when the answers are together at least as long as the references, else below 1."""
    mean_reference_tokens: float


class TextOverlapResults(OverlapFigures):
    """All answers, and apart those on documents that training may have seen and those kept out."""

    rouge_signature: str
    bleu_signature: str
    max_new_tokens: int | None = None
    """Where an answer was cut; None in reports from before it could follow from the references."""
    documents_seen: OverlapFigures | None = None
    documents_unseen: OverlapFigures | None = None

    @property
    def has_many_cut(self) -> bool:
        """Whether the cap, not the model, decided the length of too many answers."""
        return self.figures.get("cut_at_cap", 0.0) > MAX_CUT_SHARE


class GeneralAbilityResults(Contract):
    """Multiple-choice questions answered by the probability of each full answer."""

    n: int = Field(ge=1)
    num_correct: int
    chance: float
    """Mean score of uniform guessing."""
    figures: dict[str, float]
    """By key of `contracts.samples.MEASURES`, task `general_ability`."""


class RetentionGroup(Contract):
    """Retention over one group of items."""

    base: float
    """Mean score of the base model."""
    new: float
    chance: float
    """Mean score of uniform guessing."""
    difference: Estimate
    """new - base"""
    ratio: Estimate | None
    """new / base; None unless the base is positive."""
    adjusted_ratio: Estimate | None
    """(new - chance) / (base - chance); None where the base is too near to guessing."""

    @property
    def num_items(self) -> int:
        return self.difference.n

    @property
    def num_units(self) -> int:
        """Clusters, or items without one: what was resampled."""
        return self.difference.num_units


class CategoryRetention(Contract):
    """Retention in one category; intervals of all categories hold together at the stated level."""

    category: str
    estimate: RetentionGroup
    verdict: Verdict
    reason: Reason


class NullChange(Contract):
    """One thing that was different when the base was asked again."""

    what: Literal["batch_size", "number_format", "wording"]
    before: str
    after: str


class FlipNull(Contract):
    """How often the base loses its own right answers: what no training has done."""

    name: NullName
    """`numerical`: another batch size or number format; `prompt`: other words around the question,
    which is all that can vary where neither examples nor options stand in the prompt."""
    rate: Estimate
    """1 -> 0 between two runs of the base; its `high` is the upper bound of the null."""
    changes: tuple[NullChange, ...] = ()
    """What was varied."""


class ClusterChange(Contract):
    """The cluster that lost most surely, of those with two or more items."""

    cluster: str
    category: str
    num_items: int
    regressed: int
    gained: int
    adjusted_p: float
    """One-sided exact p value of as many losses as these, times the number of clusters."""


class Flips(Contract):
    """Right answers lost and won, for scores that are 0 or 1."""

    regressed: int
    """1 -> 0"""
    gained: int
    """0 -> 1"""
    regressed_rate: Estimate
    gained_rate: float
    null_flip_rate: float | None
    """The largest rate of `nulls`."""
    exceeds_null: bool | None
    """Whether the interval of the 1 -> 0 rate lies above that of every null; False reads "no
    detectable forgetting". None without a null or an interval."""
    nulls: tuple[FlipNull, ...] = ()
    mcnemar_p: float


class RetentionResults(Contract):
    """How much of the base's ability is kept, with what a reader needs to doubt it."""

    verdict: Verdict
    reason: Reason
    margin: float
    macro: RetentionGroup
    """Every category weighs the same; `macro.adjusted_ratio` is what the verdict judges."""
    micro: RetentionGroup
    """Every item weighs the same."""
    categories: tuple[CategoryRetention, ...]
    worst_category: str | None
    """Lowest adjusted ratio; None where no category is far enough above chance."""
    flips: Flips | None
    """None for scores between 0 and 1."""
    num_missing: int
    items_needed: int | None
    """Items of this mix that would settle the verdict were the ratio to stay where it is; None
    where more items are not the remedy."""
    clusters_needed: int | None = None
    """Clusters of today's size that would settle it, where more items in the same ones would not.
    """
    effective_items: float | None = None
    """Independent items that would be as sure; None in reports written before it was computed."""
    design_effect: float | None = None
    """By how much clusters divide the items; 1 where the items stand alone."""
    worst_cluster: ClusterChange | None = None
    """None without clusters, for scores between 0 and 1, or where no cluster lost on balance."""

    @property
    def items_missing(self) -> int | None:
        """How many more items would settle the verdict."""
        return None if self.items_needed is None else self.items_needed - self.micro.num_items


class RetentionByScore(Contract):
    """Retention by what an item's score is."""

    accuracy: RetentionResults
    """Right or wrong; the verdict of record."""
    probability: RetentionResults
    """Probability of the right choice."""


BenchmarkFigureName = Literal[
    "acc", "acc_norm", "exact_match_strict", "exact_match_flexible", "no_number"
]


class BenchmarkFigure(Contract):
    """A mean of 0s and 1s over items."""

    value: float
    standard_error: float | None
    """Standard deviation over the square root of n, as the harness has it; None for one item."""


class BenchmarkCategory(Contract):
    """One category of a benchmark."""

    category: str
    n: int = Field(ge=1)
    figures: dict[BenchmarkFigureName, BenchmarkFigure]


class BenchmarkResults(Contract):
    """A benchmark in one form, with everything that can change its figures."""

    benchmark: str
    """Name; empty for questions of one's own."""
    form: Literal["letter", "full_answer", "number"]
    num_few_shot: int
    chat_template: bool
    n: int = Field(ge=1)
    chance: float | None
    """Mean score of uniform guessing; None for generated answers."""
    figures: dict[BenchmarkFigureName, BenchmarkFigure]
    """`acc` and `acc_norm`, or `exact_match_strict`, `exact_match_flexible` and `no_number`."""
    categories: tuple[BenchmarkCategory, ...]
    prompts_sha256: str
    """Over all prompts and options in order: equal where the same was asked."""
    harness: str


class EvaluateResults(Contract):
    """A checkpoint's figures; with a baseline, also what it keeps of it. None: not measured."""

    kind: Literal["evaluate"] = "evaluate"
    text_overlap: TextOverlapResults | None = None
    general_ability: GeneralAbilityResults | None = None
    gauge: GaugeResults | None = None
    flip_nulls: tuple[FlipNull, ...] = ()
    """Of the base itself: what its own answers are worth as a baseline of flips."""
    retention: RetentionByScore | None = None
    text_overlap_vs_baseline: dict[str, PairedFigure] | None = None
    """By measure."""
    benchmarks: tuple[BenchmarkResults, ...] = ()
    """In the order of the spec."""
    harness_tasks: tuple[HarnessTaskResults, ...] = ()
    """In the order of the spec."""
