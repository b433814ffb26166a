"""Whether an arm's sampled answers follow the target's own distribution, as a certificate says it.

`pipeline.decoding.goodness_of_fit` makes the test, `docs/decoding.md` describes it.
"""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.fields import PositiveInt


class SamplingTestDone(Contract):
    """Drawn tokens, each judged by the target's exact distribution at its place."""

    verdict: Literal["consistent", "inconsistent"]
    """`inconsistent` where the p value is below `level`."""
    num_answers: PositiveInt
    num_tokens: PositiveInt
    """Tokens judged: all that were drawn but the first of each answer, which is never drafted."""
    num_draft_tokens: PositiveInt
    num_accepted_tokens: int = Field(ge=0)
    temperature: float = Field(gt=0)
    num_cells: PositiveInt
    """Equally probable cells that the tokens fall into."""
    chi_square: float = Field(ge=0)
    p_value: float = Field(ge=0, le=1)
    level: float = Field(gt=0, lt=1)
    """How often a right engine is called inconsistent."""


class SamplingTestNotRun(Contract):
    """No token was judged, so nothing is said of sampled answers."""

    verdict: Literal["not_run"] = "not_run"
    reason: str = Field(min_length=1, max_length=1000)


SamplingTest = Annotated[SamplingTestDone | SamplingTestNotRun, Field(discriminator="verdict")]
SamplingVerdict = Literal["consistent", "inconsistent", "not_run"]
