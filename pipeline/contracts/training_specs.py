"""What the two training phases are asked to do."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.fields import DeviceName, DtypeName, Fraction, PositiveInt, SourceName
from pipeline.contracts.references import CorpusRef, InstructionRef, Reference


class OptimizerSettings(Contract):
    """AdamW with warm-up, a stable phase and linear decay to `final_learning_rate_fraction`."""

    learning_rate: float = Field(gt=0.0, le=1.0)
    warmup_fraction: Fraction = 0.1
    decay_fraction: Fraction = 0.2
    final_learning_rate_fraction: Fraction = 0.1
    weight_decay: float = Field(default=0.1, ge=0.0)
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.95, ge=0.0, lt=1.0)
    max_grad_norm: float = Field(default=1.0, gt=0.0)

    @model_validator(mode="after")
    def _phases_fit(self) -> "OptimizerSettings":
        if self.warmup_fraction + self.decay_fraction > 1.0:
            raise ValueError("warmup_fraction + decay_fraction must not exceed 1")
        return self


class BatchSettings(Contract):
    """One optimizer step sees `gradient_accumulation_steps` packed rows of `max_seq_length`."""

    max_seq_length: int = Field(default=512, ge=8)
    gradient_accumulation_steps: PositiveInt = 2


class TrainingSpecBase(SpecBase):
    """Fields the training kinds share."""

    optimizer: OptimizerSettings
    batch: BatchSettings = BatchSettings()
    checkpoint_every_steps: PositiveInt = 10
    dtype: DtypeName = "float32"
    device: DeviceName = "auto"


class MixtureSource(Contract):
    """One source of a token mixture."""

    name: SourceName
    dataset: CorpusRef
    weight: float = Field(gt=0.0)
    """Share of the training tokens, relative to the other sources' weights."""


class ContinualPretrainSpec(TrainingSpecBase):
    """Continue pre-training `model` on a token mixture of domain text and general replay."""

    kind: Literal["continual_pretrain"] = "continual_pretrain"
    model: Reference
    sources: tuple[MixtureSource, ...] = Field(min_length=1)
    heldout: tuple[CorpusRef, ...] = ()
    """Corpora whose loss is measured before and after, never trained on."""
    num_tokens: int = Field(ge=1)
    """Budget of non-padding training tokens."""

    @model_validator(mode="after")
    def _names_differ(self) -> "ContinualPretrainSpec":
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"sources: names must differ, got {', '.join(names)}")
        return self


class CurriculumStage(Contract):
    """One stage of supervised fine-tuning."""

    name: SourceName
    datasets: tuple[InstructionRef, ...] = Field(min_length=1)
    num_tokens: int = Field(ge=1)
    """Budget of non-padding tokens in this stage, prompts included."""
    learning_rate_scale: float = Field(default=1.0, gt=0.0)
    """Multiplies `optimizer.learning_rate` in this stage."""
    replay_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the stage's tokens drawn from the data of all earlier stages."""


class CurriculumSftSpec(TrainingSpecBase):
    """Fine-tune `model` on conversations, completion tokens only.

    `progressive` runs the stages in order (SOAEsV2: weakly relevant, then expert with replay).
    `single_stage` shuffles the union of all stages' data into one stage with the same total tokens
    and the same schedule shape: the control of the progressive claim.
    """

    kind: Literal["curriculum_sft"] = "curriculum_sft"
    model: Reference
    mode: Literal["progressive", "single_stage"] = "progressive"
    stages: tuple[CurriculumStage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _first_stage_replays_nothing(self) -> "CurriculumSftSpec":
        if self.stages[0].replay_fraction > 0:
            raise ValueError("stages.0.replay_fraction must be 0: no earlier stage to replay")
        return self
