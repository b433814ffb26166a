"""What every training recipe starts with: the model it trains, where it goes on, its settings."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.references import Reference
from pipeline.contracts.training_specs import TrainingSpecBase
from pipeline.execution import RunContext
from pipeline.modeling.device import choose_device
from pipeline.modeling.loading import load_model, load_tokenizer
from pipeline.provenance import checked_model
from pipeline.training.checkpoint import TrainingState
from pipeline.training.loop import LoopSettings
from pipeline.training.resume import resume_state


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSession:
    """A model ready to train, fresh or resumed."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    settings: LoopSettings
    resume: TrainingState | None
    model_digest: str
    """Digest of the model the run started from."""

    @property
    def carried(self) -> dict[str, Any] | None:
        """What the recipe asked to carry across attempts, or None in a fresh run."""
        return None if self.resume is None else self.resume.progress["carried"]


def open_session(spec: TrainingSpecBase, base: Reference, context: RunContext) -> TrainingSession:
    """The model of `base`, or that of the checkpoint the run goes on from, on its device.

    Weights are float32; `dtype` bfloat16 computes in it by autocast over them.

    Raises:
        SpecError: `spec.device_unavailable`.
        ModelError: `model.digest_mismatch`, and as `load_model`.
        TrainingError: as `resume_state`.
    """
    resume = resume_state(context)
    base_path, base_digest = checked_model(base)
    path = base_path if context.resume_from is None else context.resume_from
    return TrainingSession(
        model=load_model(path, device=choose_device(spec.device)),
        tokenizer=load_tokenizer(path),
        settings=LoopSettings(
            optimizer=spec.optimizer,
            seed=spec.seed,
            checkpoint_every_steps=spec.checkpoint_every_steps,
            spec_digest=context.spec_digest,
            autocast_dtype=torch.bfloat16 if spec.dtype == "bfloat16" else None,
        ),
        resume=resume,
        model_digest=base_digest,
    )
