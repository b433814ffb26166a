"""What a benchmark of speculative decoding is asked to do."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.fields import DeviceName, DtypeName, EngineName, PositiveInt, SourceName
from pipeline.contracts.references import DomainTestRef, Reference


class DraftArm(Contract):
    """A draft model as one arm of the benchmark."""

    name: SourceName
    model: Reference


class SpeculativeDecodeSpec(SpecBase):
    """Measure speculative decoding of `target` against its autoregressive decoding.

    Every arm decodes the same prompts in the same process, interleaved over `num_repeats`.
    """

    kind: Literal["speculative_decode"] = "speculative_decode"
    target: Reference
    drafts: tuple[DraftArm, ...] = ()
    prompts: DomainTestRef
    num_prompts: PositiveInt = 4
    max_new_tokens: PositiveInt = 64
    num_speculative_tokens: int | None = Field(default=None, ge=1, le=16)
    """Draft length; None takes each arm's best length by the measured costs."""
    num_repeats: PositiveInt = 3
    temperature: float = Field(default=0.0, ge=0.0)
    num_losslessness_prompts: PositiveInt = 4
    ngram_arm: bool = True
    engine: EngineName = "auto"
    device: DeviceName = "auto"
    dtype: DtypeName = "float32"

    @model_validator(mode="after")
    def _arms_differ(self) -> "SpeculativeDecodeSpec":
        names = ["autoregressive", "ngram", *(arm.name for arm in self.drafts)]
        if len(set(names)) != len(names):
            raise ValueError(f"drafts: arm names must differ, got {', '.join(names)}")
        if not self.drafts and not self.ngram_arm:
            raise ValueError("drafts: give a draft or keep ngram_arm; nothing would be compared")
        return self
