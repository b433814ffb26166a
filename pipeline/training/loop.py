"""The training loop of every kind: continual pre-training, fine-tuning and distillation.

A run is a list of phases, each with its own batches, loss, schedule and fresh optimizer. All that a
step depends on is its position: batches and learning rate are functions of the step, random numbers
are seeded by (seed, step). So a run that was killed and resumed computes the same bits on a CPU as
one that was not.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.training_specs import OptimizerSettings
from pipeline.errors import StoppedAtCheckpoint
from pipeline.execution import RunContext, StageProgress
from pipeline.training.checkpoint import (
    NUM_KEPT,
    TrainingState,
    checkpoint_path,
    prune_checkpoints,
    save_checkpoint,
)
from pipeline.training.determinism import deterministic_on_cpu, step_seed
from pipeline.training.divergence import StepLosses, refuse_divergence
from pipeline.training.optimizer import build_optimizer, optimizer_tensors, restore_optimizer
from pipeline.training.phases import Phase, PhaseFigures, TrainingBatch
from pipeline.training.resume import restored_figures
from pipeline.training.selection import Selection


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """A finished training."""

    model_path: Path
    """The final checkpoint, a complete model directory."""
    num_steps: int
    phases: tuple[PhaseFigures, ...]
    carried: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopSettings:
    """What all phases of a run share."""

    optimizer: OptimizerSettings
    seed: int
    checkpoint_every_steps: int
    spec_digest: str
    autocast_dtype: torch.dtype | None = None
    """Compute in this type over float32 weights; None computes in the weights' type."""
    documents: Mapping[str, bytes] = field(default_factory=dict)
    """Small files that belong to the model, by name, in every checkpoint."""


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    phases: Sequence[Phase[Any]],
    settings: LoopSettings,
    context: RunContext,
    *,
    resume: TrainingState | None = None,
    carried: dict[str, Any] | None = None,
    selection: Selection | None = None,
) -> TrainingResult:
    """`model` has taken every step of every phase and its final checkpoint is durable.

    Args:
        model: the start, or with `resume` the weights of that checkpoint, on its device.
        resume: where to go on (`resume_state`).
        carried: JSON of the caller that must survive a kill, such as figures measured before
            training; a resumed run gets back what was saved.
        selection: measures the model while it trains; the final checkpoint is the best one, and
            training may end before the last step.

    Raises:
        TrainingError: `train.non_finite_loss` or `train.diverged`, naming step and rows;
            `train.resume_mismatch` when data or model are not those of the checkpoint.
        StoppedAtCheckpoint: a stop was requested; the state is saved.
    """
    loop = _Loop(model, tokenizer, phases, settings, context, carried or {}, selection)
    if resume is not None:
        loop.restore(resume)
    with deterministic_on_cpu(model.device):
        return loop.run()


class _Loop:
    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        phases: Sequence[Phase[Any]],
        settings: LoopSettings,
        context: RunContext,
        carried: dict[str, Any],
        selection: Selection | None,
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._phases, self._settings, self._context = phases, settings, context
        self._carried = carried
        self._selection = selection
        self._figures = [PhaseFigures(name=phase.name) for phase in phases]
        self._saved_optimizer: dict[str, torch.Tensor] = {}
        self._saved_step = 0
        self._vocab_size = model.get_input_embeddings().weight.shape[0]

    @property
    def _step(self) -> int:
        """Optimizer steps taken, over all phases."""
        return sum(figures.num_steps for figures in self._figures)

    def restore(self, state: TrainingState) -> None:
        self._figures = restored_figures(state, self._phases, self._context)
        self._carried = state.progress["carried"]
        self._saved_optimizer = state.optimizer
        if self._selection is not None:
            self._selection.restore(state.progress["selection"], state.optimizer)
            kept = self._selection.tensors().keys()
            self._saved_optimizer = {
                name: tensor for name, tensor in state.optimizer.items() if name not in kept
            }
        self._saved_step = state.step

    def run(self) -> TrainingResult:
        self._model.train()
        try:
            for phase, figures in zip(self._phases, self._figures, strict=True):
                if figures.num_steps < phase.batches.num_steps and not self._is_final():
                    self._run_phase(phase, figures)
        finally:
            self._model.eval()
        if self._selection is not None:
            self._selection.take_best(self._model)
        return TrainingResult(
            model_path=self._save_final(),
            num_steps=self._step,
            phases=tuple(self._figures),
            carried=self._carried,
        )

    def _run_phase(self, phase: Phase[Any], figures: PhaseFigures) -> None:
        optimizer = build_optimizer(self._model, self._settings.optimizer)
        if figures.num_steps > 0:
            restore_optimizer(self._model, optimizer, self._saved_optimizer)
        self._saved_optimizer = {}  # the optimizer has copied what it needs
        progress = self._context.progress(
            phase.name,
            phase.batches.num_tokens,
            "tokens",
            done=figures.num_tokens,
        )
        while figures.num_steps < phase.batches.num_steps:
            if not self._take_step(phase, figures, optimizer, progress):
                self._stop(optimizer)
            self._measure()
            if self._is_final():
                break
            if self._step % self._settings.checkpoint_every_steps == 0:
                self._save(optimizer)
        optimizer.zero_grad(set_to_none=True)

    def _take_step(
        self,
        phase: Phase[Any],
        figures: PhaseFigures,
        optimizer: torch.optim.Optimizer,
        progress: StageProgress,
    ) -> bool:
        """One optimizer step is taken, or none (False) because a stop was requested."""
        started = time.monotonic()
        step = figures.num_steps
        batches = phase.batches.micro_batches(step)
        torch.manual_seed(step_seed(self._settings.seed, phase.name, step))
        losses, num_targets = [], 0
        for batch in batches:
            if self._context.stop:
                optimizer.zero_grad(set_to_none=True)
                return False
            with self._autocast():
                loss_sum, count = phase.loss_fn(self._model, batch)
            loss_sum.backward()
            losses.append(loss_sum.detach())
            num_targets += count
        # One mean over all unmasked tokens of the step: a mean of the micro-batches' means would
        # weigh a token by the length of its neighbours.
        loss_sums = torch.stack(losses).double().tolist()
        loss = sum(loss_sums) / num_targets
        grad_norm = self._scale_and_clip_gradients(num_targets)
        refuse_divergence(
            StepLosses(
                phase=phase.name,
                step=self._step + 1,
                batches=batches,
                loss_sums=loss_sums,
                loss=loss,
                grad_norm=grad_norm,
            ),
            first_loss=figures.losses[0] if figures.losses else None,
            vocab_size=self._vocab_size,
        )
        learning_rate = phase.learning_rate(step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        figures.record(batches, loss, num_targets, time.monotonic() - started)
        progress.advance_to(figures.num_tokens)
        self._log(figures, batches, learning_rate, grad_norm, time.monotonic() - started)
        return True

    def _autocast(self) -> Any:
        if self._settings.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self._model.device.type, dtype=self._settings.autocast_dtype)

    def _scale_and_clip_gradients(self, num_targets: int) -> float:
        """Gradients of the sum become those of the mean, clipped; returns their norm before."""
        gradients = [p.grad for p in self._model.parameters() if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients)) / num_targets
        scale = min(1.0, self._settings.optimizer.max_grad_norm / (norm + 1e-6)) / num_targets
        for gradient in gradients:
            gradient.mul_(scale)
        return norm

    def _log(
        self,
        figures: PhaseFigures,
        batches: Sequence[TrainingBatch],
        learning_rate: float,
        grad_norm: float,
        seconds: float,
    ) -> None:
        num_tokens = sum(sum(batch.tokens_by_source.values()) for batch in batches)
        self._context.log_metrics(
            self._step,
            loss=figures.losses[-1],
            learning_rate=learning_rate,
            grad_norm=grad_norm,
            tokens_per_second=num_tokens / seconds,
            **{f"tokens.{name}": count for name, count in figures.tokens_by_source.items()},
        )

    def _measure(self) -> None:
        if self._selection is None:
            return
        figure = self._selection.after_step(
            self._model, self._step, is_last=self._step == self._num_planned
        )
        if figure is not None:
            self._context.log_metrics(self._step, **{self._selection.name: figure})

    @property
    def _num_planned(self) -> int:
        return sum(phase.batches.num_steps for phase in self._phases)

    def _is_final(self) -> bool:
        """No further step is taken."""
        is_over = self._selection is not None and self._selection.is_over
        return is_over or self._step == self._num_planned

    def _state(self, optimizer: torch.optim.Optimizer | None) -> TrainingState:
        progress: dict[str, Any] = {
            "phases": [asdict(figures) for figures in self._figures],
            "cursors": [
                phase.batches.cursor(figures.num_steps)
                for phase, figures in zip(self._phases, self._figures, strict=True)
            ],
            "carried": self._carried,
        }
        tensors = {} if optimizer is None else optimizer_tensors(self._model, optimizer)
        if self._selection is not None:
            progress["selection"] = self._selection.progress()
            # The final checkpoint is the best one: it needs to keep no other.
            tensors |= {} if optimizer is None else self._selection.tensors()
        return TrainingState(
            step=self._step,
            spec_digest=self._settings.spec_digest,
            progress=progress,
            optimizer=tensors,
        )

    def _save(self, optimizer: torch.optim.Optimizer | None) -> Path:
        path, manifest_sha256 = save_checkpoint(
            self._context.run_dir,
            self._state(optimizer),
            model=self._model,
            tokenizer=self._tokenizer,
            documents=self._settings.documents,
        )
        self._context.checkpoint_saved(self._step, path, manifest_sha256)
        self._saved_step = self._step
        prune_checkpoints(self._context.run_dir, keep=NUM_KEPT)
        return path

    def _save_final(self) -> Path:
        """The final checkpoint is the only one left; it needs no optimizer state."""
        path = checkpoint_path(self._context.run_dir, self._step)
        if path != self._context.resume_from:
            self._save(None)
        prune_checkpoints(self._context.run_dir, keep=1)
        return path

    def _stop(self, optimizer: torch.optim.Optimizer) -> None:
        if self._step > self._saved_step:
            self._save(optimizer)
        raise StoppedAtCheckpoint(
            f"stopped on request after {self._step} steps; run it again to go on"
        )
