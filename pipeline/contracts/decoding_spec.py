"""What a benchmark of speculative decoding is asked to do."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from pipeline.contracts.base import UNION_TAGS, Contract, SpecBase
from pipeline.contracts.fields import DeviceName, DtypeName, EngineName, PositiveInt, SourceName
from pipeline.contracts.references import (
    DomainTestRef,
    InstructionRef,
    Reference,
    TeacherCacheRef,
)

AUTOREGRESSIVE = "autoregressive"
"""Name of the arm that every benchmark has: the target without speculation."""


DraftLength = Annotated[int, Field(ge=1, le=16)]


class ArmBase(Contract):
    """Fields every way of drafting has, besides its `method`."""

    name: SourceName
    """Names the arm in the results."""

    def references(self) -> dict[str, Reference]:
        """What the arm reads, by field."""
        return {field: value for field, value in self if isinstance(value, Reference)}


class DraftModelArm(ArmBase):
    """A smaller model of the target's vocabulary drafts."""

    method: Literal["draft_model"] = "draft_model"
    model: Reference


class Int8DraftArm(ArmBase):
    """A smaller model drafts whose linear layers are multiplied in 8 bits, weights and activations.

    For the engine vLLM. What the target puts out stays the same, because it checks every token.
    """

    method: Literal["int8_draft"] = "int8_draft"
    model: Reference
    """As it was trained; the int8 copy is made when the engine opens."""


class NGramSettings(ArmBase):
    """How the last tokens are looked up in the text itself."""

    max_ngram: PositiveInt = 3
    """Longest run of last tokens looked up; the longest that occurs earlier wins."""
    min_ngram: PositiveInt = 1
    """Shortest run of last tokens looked up."""

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.min_ngram > self.max_ngram:
            raise ValueError("min_ngram must not exceed max_ngram")
        return self


class NGramArm(NGramSettings):
    """What followed the latest earlier occurrence of the last tokens is the draft; no model."""

    method: Literal["ngram"] = "ngram"
    name: SourceName = "ngram"


class StoredAnswers(ArmBase):
    """Where the answers come from that drafts are looked up in: training rows, never those of the
    documents that are timed, or the speedup is that of having read the answer."""

    dataset: InstructionRef | None = None
    """Answers as people wrote them; never those of documents whose prompts are timed."""
    teacher_cache: TeacherCacheRef | None = None
    """The target's own answers, as a distillation stored them; closer to what it will say."""
    min_match: PositiveInt = 3
    """Shortest run of last tokens that counts as found in the stored answers."""


class StoreArm(StoredAnswers):
    """What stored answers said after the same tokens is the draft; no model."""

    method: Literal["store"] = "store"
    name: SourceName = "store"

    @model_validator(mode="after")
    def _has_answers(self) -> "StoreArm":
        if self.dataset is None and self.teacher_cache is None:
            raise ValueError("give `dataset`, `teacher_cache` or both")
        return self


class CombinedArm(StoredAnswers, NGramSettings):
    """Lookup in the text itself, then in stored answers where some are given; where nothing is
    found a smaller model drafts."""

    method: Literal["combined"] = "combined"
    name: SourceName = "combined"
    model: Reference
    max_lookup_tokens: DraftLength = 5
    """Longest draft that is looked up."""
    max_draft_tokens: DraftLength = 2
    """Longest draft of the model."""


SpeculativeArm = DraftModelArm | Int8DraftArm | NGramArm | StoreArm | CombinedArm
"""A way of drafting, as one arm; `pipeline.decoding.proposers` has a module for each method."""

UNION_TAGS.update(arm.model_fields["method"].default for arm in get_args(SpeculativeArm))


class SpeculativeDecodeSpec(SpecBase):
    """Measure speculative decoding of `target` against its autoregressive decoding.

    Every arm decodes the same prompts in the same process, interleaved over `num_repeats`. The
    first arm is the one the benchmark is made for: its speedup is the headline.
    """

    kind: Literal["speculative_decode"] = "speculative_decode"
    schema_version: Literal[3] = 3  # type: ignore[assignment]  # each kind counts its own versions
    target: Reference
    arms: tuple[Annotated[SpeculativeArm, Field(discriminator="method")], ...] = Field(min_length=1)
    prompts: DomainTestRef
    num_prompts: PositiveInt = 4
    """Prompts that are timed."""
    num_probe_prompts: PositiveInt = 8
    """Prompts that are never timed: what is predicted, and the draft length, come from them. They
    are spread over the rows that are not timed; fewer where fewer are left."""
    max_new_tokens: PositiveInt = 64
    num_speculative_tokens: DraftLength | None = None
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
