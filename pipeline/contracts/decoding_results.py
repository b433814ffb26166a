"""What a decoding benchmark found; `docs/decoding.md` defines each figure."""

from typing import Literal

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.references import Sha256
from pipeline.contracts.sampling_test import SamplingVerdict


class RoundCost(Contract):
    """Whole rounds of one kind (draft, verify, roll back), in plain steps timed beside them."""

    num_model_steps: int
    """Steps of the draft model; 0 where the draft was looked up or there was none."""
    num_drafted: int
    num_rounds: int
    median: float
    lower_quartile: float
    upper_quartile: float


class DecodingCosts(Contract):
    """Measured costs; `v[g]` is the target's pass over g drafted tokens and one more, v[0] = 1."""

    c: float
    """One step of the draft; 0 for a draft without a model."""
    v: tuple[float, ...]
    h: float
    """What a round of the chosen length costs besides: R(g) - g c - v(g), the median of timed
    rounds, and negative where a round takes less than its parts alone. Reports from before rounds
    were timed have what a fit left over, never below 0."""
    target_step_seconds: float
    rounds: tuple[RoundCost, ...] = ()
    """R of every kind of round that was timed; empty in reports from before."""


class Prediction(Contract):
    """What was known before anything was timed, from prompts that never are."""

    speedup: Estimate
    """With the interval in which the measured speedup should lie."""
    verdict: Literal["pays", "does_not_pay", "undecided"]
    """Whether the interval lies above 1, below it, or around it."""
    speedup_by_length: dict[str, float]
    """All rounds' tokens over all rounds' cost, for each draft length that was considered."""
    tokens_per_round: float
    round_cost: float
    """Mean cost of a round in plain steps; the speedup is 1 where `tokens_per_round` equals it."""
    needed_c: float | None
    """The cost of a draft step at which the speedup would be 1, all else being equal; None where
    no cost is low enough, or no model drafts."""
    needed_v: float | None
    """The mean cost of the target's pass at which it would be 1; None where none is."""
    mean_v: float
    oracle_bound: float
    """The speedup were it known before each round how many drafted tokens will be accepted."""


class StoreFigures(Contract):
    """The stored answers that an arm looks drafts up in."""

    num_answers: int
    num_tokens: int
    num_bytes: int
    build_seconds: float


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
    end_to_end_speedup: Estimate | None = None
    """Prefill included."""
    prediction: Prediction | None = None
    """None in reports from before, and where no prompt was left to predict from."""
    measured_over_predicted: float | None = None
    is_measured_in_interval: bool | None = None
    """Whether the prediction's interval holds the measured speedup."""
    store: StoreFigures | None = None


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
    """Of greedy answers."""
    sampling_test: SamplingVerdict | None = None
    """Of sampled answers; None in reports from before they were tested."""


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
    serve_commands: dict[str, str] = Field(default_factory=dict)
    """By arm, how vLLM serves the target with it at the length measured; without the arms that vLLM
    cannot draft by, and empty in reports from before."""
