"""What the training of a draft model is asked to do."""

from typing import Literal

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.fields import Fraction, PositiveInt
from pipeline.contracts.references import InstructionRef, Reference, TeacherCacheRef
from pipeline.contracts.training_specs import BatchSettings, OptimizerSettings, TrainingSpecBase


class DraftArchitecture(Contract):
    """A draft pays only when it is shallow and narrow: its cost is the first term of the bound."""

    num_layers: PositiveInt = 2
    hidden_size: int = Field(default=192, ge=8)


class TargetAnswers(Contract):
    """Text the draft learns from: the target's own answers with its top-k log-probabilities."""

    prompts: InstructionRef
    num_tokens: int = Field(ge=1)
    """Generate until this many answer tokens exist."""
    max_new_tokens: PositiveInt = 96
    temperature: float = Field(default=0.0, ge=0.0)
    top_k_logprobs: int = Field(default=64, ge=1)
    batch_size: PositiveInt = 24


class LogitDistillSpec(TrainingSpecBase):
    """Train a small draft for `target`.

    The three objectives start from the same initialisation and take the same tokens and steps, so
    their difference is the objective alone: `forward_kl` is distillation (top-k forward KL with a
    tail bucket, plus cross-entropy to the target's argmax), the other two are its controls.
    """

    kind: Literal["logit_distill"] = "logit_distill"
    # A draft starts from random layers and is small: it takes a rate, and pays for steps and
    # checkpoints, that its target would not (docs/distillation.md has the figures).
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=3e-3)
    batch: BatchSettings = BatchSettings(gradient_accumulation_steps=1)
    checkpoint_every_steps: PositiveInt = 50
    target: Reference
    objective: Literal["forward_kl", "ce_target_text", "ce_gold"] = "forward_kl"
    answers: TargetAnswers
    teacher_cache: TeacherCacheRef | None = None
    """A cache another run wrote for the same target and `answers`; None writes one."""
    draft: DraftArchitecture = DraftArchitecture()
    num_epochs: PositiveInt = 8
    kl_weight: Fraction = 0.5
    """Loss = kl_weight * KL + (1 - kl_weight) * cross-entropy to the target's argmax."""
