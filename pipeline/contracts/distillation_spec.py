"""What the training of a draft model is asked to do."""

from typing import Literal

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.fields import Fraction, PositiveInt
from pipeline.contracts.references import InstructionRef, Reference, TeacherCacheRef
from pipeline.contracts.training_specs import BatchSettings, OptimizerSettings, TrainingSpecBase

Objective = Literal[
    "forward_kl",
    "reverse_kl",
    "jsd",
    "tvd",
    "nla",
    "lk_hybrid",
    "ce_argmax",
    "ce_target_text",
    "ce_gold",
]
CONTROLS: tuple[Objective, ...] = ("ce_target_text", "ce_gold")
"""Objectives that train on text alone; the others learn from the target's probabilities."""


class DraftArchitecture(Contract):
    """A draft pays only when it is shallow and narrow: its cost is the first term of the bound."""

    num_layers: PositiveInt = 2
    hidden_size: int = Field(default=192, ge=8)
    init: Literal["random", "target_layers"] = "random"
    """Where the layers start: from random numbers, or as the target's own, evenly spread from its
    first to its last; `hidden_size` is then the target's."""
    num_output_tokens: int | None = Field(default=None, ge=16)
    """The draft may say this many tokens, the most frequent of the target's answers; None: all."""


class EarlyStop(Contract):
    """Keep the draft whose answers held back for this promise the highest speed.

    They are answers of their own (another eighth of all), so that the reported acceptance is not
    what was chosen by. The speed is that of `pipeline.decoding.simulator` at the best draft length
    for these costs; stated, not measured, so that a resumed run chooses the same step.
    """

    every_steps: PositiveInt = 25
    """Optimizer steps between measurements."""
    patience: PositiveInt = 4
    """Training ends after this many measurements without a better one."""
    draft_step_cost: float = Field(default=0.02, ge=0.0)
    """c: one drafted token, in steps of the target."""
    verification_cost: float = Field(default=1.05, gt=0.0)
    """v + h: the target's pass over a draft with everything around it, in steps of the target."""


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

    All objectives start from the same initialisation and take the same tokens and steps, so their
    difference is the objective alone: `ce_target_text` and `ce_gold` are the controls of the
    others, which learn from the target's probabilities (docs/distillation.md defines each).
    """

    kind: Literal["logit_distill"] = "logit_distill"
    schema_version: Literal[2] = 2  # type: ignore[assignment]  # each kind counts its own versions
    # A draft starts from random layers and is small: it takes a rate, and pays for steps and
    # checkpoints, that its target would not (docs/distillation.md has the figures).
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=3e-3)
    batch: BatchSettings = BatchSettings(gradient_accumulation_steps=1)
    checkpoint_every_steps: PositiveInt = 50
    target: Reference
    objective: Objective = "forward_kl"
    answers: TargetAnswers
    teacher_cache: TeacherCacheRef | None = None
    """A cache another run wrote for the same target and `answers`; None writes one."""
    draft: DraftArchitecture = DraftArchitecture()
    loss_temperature: Literal["served", "one"] = "served"
    """Target and draft are compared at the temperature of `answers`, or at 1; greedy answers (0)
    are compared at 1 in any case."""
    early_stop: EarlyStop | None = None
    """None trains to the last step and keeps what that leaves."""
    num_epochs: PositiveInt = 8
    kl_weight: Fraction = 0.5
    """Loss = kl_weight * divergence + (1 - kl_weight) * cross-entropy to the target's argmax; the
    divergence is the one that `objective` names. Without effect on `ce_` objectives."""
