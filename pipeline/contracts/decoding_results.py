"""What a decoding benchmark found; `docs/decoding.md` defines each figure."""

from typing import Literal

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.references import Sha256


class DecodingCosts(Contract):
    """Measured costs; `v[g]` is the target's pass over g drafted tokens and one more, v[0] = 1."""

    c: float
    """One step of the draft; 0 for a draft without a model."""
    v: tuple[float, ...]
    h: float
    """What a round costs besides: acceptance, rollback, bookkeeping."""
    target_step_seconds: float


class ArmResults(Contract):
    """One way to decode. None: cannot be measured in this engine, or not of this arm."""

    tokens_per_second: float | None
    prefill_seconds: float
    """Mean of an answer."""
    decode_seconds: float
    """Mean of an answer, prefill apart."""
    num_output_tokens: int
    repeated_4gram_rate: float
    speedup: Estimate | None = None
    """Over plain decoding of the same prompts; None for plain decoding itself."""
    speedup_without_repetitive_answers: Estimate | None = None
    num_speculative_tokens: int | None = None
    num_parameters: int | None = None
    """Parameters of the draft model."""
    mean_acceptance_length: float | None = None
    draft_acceptance_rate: float | None = None
    acceptance_per_position: tuple[float, ...] | None = None
    block_efficiency: float | None = None
    costs: DecodingCosts | None = None
    probed_survival: tuple[float, ...] | None = None
    break_even_acceptance: float | None = None
    predicted_speedup: float | None = None
    oracle_bound: float | None = None
    fraction_of_oracle_bound: float | None = None


class LosslessnessCounts(Contract):
    """How a candidate's answers compare with the reference's."""

    is_lossless: bool
    num_prompts: int
    num_identical: int
    num_near_ties: int
    """Answers whose first difference is between logits so close that rounding explains it."""
    largest_gap: float | None
    """Largest float64 logit gap at a first difference of tokens; None where there is none."""


class LosslessnessResults(Contract):
    """Every arm's greedy answers against the target's own."""

    is_lossless: bool
    arms: dict[str, LosslessnessCounts]
    autoregressive_batch_1_vs_8: LosslessnessCounts
    """What rounding alone does to plain decoding."""


class CertifiedArm(Contract):
    """The certificate that the run wrote for an arm; the platform may have signed it since."""

    digest: Sha256
    """Of its canonical JSON."""
    is_lossless: bool


class SpeculativeDecodeResults(Contract):
    """Every arm on the same prompts, plain decoding (`autoregressive`) first."""

    kind: Literal["speculative_decode"] = "speculative_decode"
    arms: dict[str, ArmResults]
    losslessness: LosslessnessResults | None
    """None for sampled decoding."""
    num_prompts: int
    num_repeats: int
    engine: str
    interleaved: bool
    headline_arm: str
    certificates: dict[str, CertifiedArm] = Field(default_factory=dict)
    """By arm; empty for sampled decoding, and in reports that are older than certificates."""
