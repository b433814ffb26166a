"""How far a model has moved from its base on text that the base wrote: the gauge of retention."""

from enum import StrEnum

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.verdicts import Verdict


class GaugeReason(StrEnum):
    """Why the gauge's verdict is what it is."""

    INTERVAL = "interval"
    """The interval of the divergence lies on one side of the margin."""
    INTERVAL_CROSSES_MARGIN = "interval_crosses_margin"
    TOO_FEW_PASSAGES = "too_few_passages"
    """An interval from so few passages is a rough one and decides nothing."""
    IDENTICAL = "identical"
    """Every predicted distribution is the base's own: nothing moved."""


class GaugeScore(Contract):
    """One text under the model and under the base; a line of the output `gauge_scores`."""

    id: str
    passage: str
    """The passage whose first tokens were the prompt; texts of one passage are one unit."""
    num_tokens: int = Field(ge=0)
    num_bytes: int = Field(ge=1)
    """UTF-8 bytes of the text, without its prompt."""
    nats: float
    """Negative log-likelihood of the text under the model, summed over its tokens."""
    base_nats: float
    """The same under the base."""
    kl_nats: float
    """KL(base || model) over the whole vocabulary, summed over the same positions."""


class GaugeVerdict(Contract):
    """Whether the model stayed within the margin of its base; the primary measure of retention."""

    verdict: Verdict
    reason: GaugeReason
    margin: float = Field(gt=0.0)
    """Bits per byte, fixed before the run. PASS: the interval of `kl_bits_per_byte` ends at or
    below it; FAIL: it starts above."""
    kl_bits_per_byte: Estimate
    """KL(base || model) of all texts / their bytes: what the verdict judges. `n` texts of
    `num_units` passages."""
    base_bits_per_byte: float
    """What the base itself needs."""
    bits_per_byte_ratio: Estimate | None
    """Bits per byte, model / base: the same quantity in other words, on the tokens that were drawn
    instead of all that could have been. None where the base needs none."""
    passages_needed: int | None
    """Passages that would settle the verdict were the divergence to stay where it is; None for a
    verdict that is settled, or one that no number would settle."""


class GaugeResults(Contract):
    """How well the model predicts text that the base wrote; totals over all texts."""

    bits_per_byte: float
    kl_nats_per_token: float
    """KL(base || model)"""
    num_texts: int
    num_tokens: int
    num_bytes: int
    judged: GaugeVerdict | None = None
    """None without a margin, and in reports from before there was one."""
