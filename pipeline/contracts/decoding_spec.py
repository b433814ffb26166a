"""What a benchmark of speculative decoding is asked to do."""

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from pipeline.contracts.base import UNION_TAGS, Contract, SpecBase
from pipeline.contracts.fields import DeviceName, DtypeName, EngineName, PositiveInt, SourceName
from pipeline.contracts.references import DomainTestRef, Reference

AUTOREGRESSIVE = "autoregressive"
"""Name of the arm that every benchmark has: the target without speculation."""


class ArmBase(Contract):
    """Fields every way of drafting has, besides its `method`."""

    name: SourceName
    """Names the arm in the results."""

    def references(self) -> dict[str, Reference]:
        """The models the arm names, by field."""
        return {field: value for field, value in self if isinstance(value, Reference)}


class DraftModelArm(ArmBase):
    """A smaller model of the target's vocabulary drafts."""

    method: Literal["draft_model"] = "draft_model"
    model: Reference


class NGramArm(ArmBase):
    """What followed the latest earlier occurrence of the last tokens is the draft; no model."""

    method: Literal["ngram"] = "ngram"
    name: SourceName = "ngram"
    max_ngram: PositiveInt = 3
    """Longest run of last tokens looked up; the longest that occurs earlier wins."""
    min_ngram: PositiveInt = 1
    """Shortest run of last tokens looked up."""

    @model_validator(mode="after")
    def _lengths_fit(self) -> "NGramArm":
        if self.min_ngram > self.max_ngram:
            raise ValueError("min_ngram must not exceed max_ngram")
        return self


SpeculativeArm = DraftModelArm | NGramArm
"""A way of drafting, as one arm; `pipeline.decoding.proposers` has a module for each method."""

UNION_TAGS.update(arm.model_fields["method"].default for arm in get_args(SpeculativeArm))


class SpeculativeDecodeSpec(SpecBase):
    """Measure speculative decoding of `target` against its autoregressive decoding.

    Every arm decodes the same prompts in the same process, interleaved over `num_repeats`. The
    first arm is the one the benchmark is made for: its speedup is the headline.
    """

    kind: Literal["speculative_decode"] = "speculative_decode"
    schema_version: Literal[2] = 2  # type: ignore[assignment]  # each kind counts its own versions
    target: Reference
    arms: tuple[Annotated[SpeculativeArm, Field(discriminator="method")], ...] = Field(min_length=1)
    prompts: DomainTestRef
    num_prompts: PositiveInt = 4
    max_new_tokens: PositiveInt = 64
    num_speculative_tokens: int | None = Field(default=None, ge=1, le=16)
    """Draft length; None takes each arm's best length by the measured costs."""
    num_repeats: PositiveInt = 3
    temperature: float = Field(default=0.0, ge=0.0)
    engine: EngineName = "auto"
    device: DeviceName = "auto"
    dtype: DtypeName = "float32"

    @model_validator(mode="after")
    def _arms_differ(self) -> "SpeculativeDecodeSpec":
        names = [AUTOREGRESSIVE, *(arm.name for arm in self.arms)]
        if len(set(names)) != len(names):
            raise ValueError(f"arms: names must differ, got {', '.join(names)}")
        return self
