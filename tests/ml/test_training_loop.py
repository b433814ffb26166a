"""One loss for any accumulation, the schedule, the guards, and what the loop reports."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from pipeline.contracts.events import CheckpointSaved, MetricsLogged, Payload, Progress, RunWarning
from pipeline.contracts.training_specs import BatchSettings, OptimizerSettings
from pipeline.data.mixture import Source
from pipeline.data.tokenize import TokenizedRow
from pipeline.errors import StoppedAtCheckpoint, TrainingError
from pipeline.execution import RunContext
from pipeline.modeling.tiny import TINY_VOCAB_SIZE, tiny_llama, tiny_tokenizer
from pipeline.training.batches import MixtureBatches
from pipeline.training.checkpoint import TRAINER_STATE_NAME, load_training_state
from pipeline.training.loop import LoopSettings, train
from pipeline.training.losses import cross_entropy_loss
from pipeline.training.optimizer import build_optimizer
from pipeline.training.phases import Phase
from pipeline.training.schedule import warmup_stable_decay

DIGEST = "0" * 64


class RecordedEvents:
    """An event sink for tests."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []

    def emit(self, payload: Payload) -> None:
        self.payloads.append(payload)

    def of(self, kind: type) -> list:
        return [payload for payload in self.payloads if isinstance(payload, kind)]


def rows(lengths: list[int], *, seed: int = 0) -> list[TokenizedRow]:
    """Rows whose first half is a prompt, so that rows differ in their unmasked tokens."""
    generator = np.random.default_rng(seed)
    result = []
    for index, length in enumerate(lengths):
        ids = generator.integers(3, TINY_VOCAB_SIZE, size=length)
        labels = ids.copy()
        labels[: length // 2] = -100
        result.append(TokenizedRow(id=f"row{index}", input_ids=ids, labels=labels))
    return result


def mixture(lengths: list[int], batch: BatchSettings, **arguments) -> MixtureBatches:
    source = Source(name="a", weight=1.0, rows=rows(lengths))
    return MixtureBatches([source], num_tokens=sum(lengths), batch=batch, seed=0, **arguments)


def run(
    run_dir: Path,
    batches,
    *,
    model=None,
    loss_fn=cross_entropy_loss,
    learning_rate: float = 1e-3,
    every: int = 100,
    events: RecordedEvents | None = None,
    context: RunContext | None = None,
):
    optimizer = OptimizerSettings(learning_rate=learning_rate, max_grad_norm=1.0)
    return train(
        model or tiny_llama(),
        tiny_tokenizer(),
        [
            Phase(
                name="test",
                batches=batches,
                loss_fn=loss_fn,
                learning_rate=warmup_stable_decay(optimizer, batches.num_steps),
            )
        ],
        LoopSettings(optimizer=optimizer, seed=0, checkpoint_every_steps=every, spec_digest=DIGEST),
        context
        or RunContext(run_dir=run_dir, spec_digest=DIGEST, events=events or RecordedEvents()),
    )


def gradients_of_the_only_step(run_dir: Path, batches: MixtureBatches):
    model = tiny_llama(dtype=torch.float64)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    seen: dict[str, torch.Tensor] = {}

    def keep(optimizer, _args, _kwargs) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                seen[names[id(parameter)]] = parameter.grad.clone()

    handle = register_optimizer_step_pre_hook(keep)
    try:
        result = run(run_dir, batches, model=model)
    finally:
        handle.remove()
    assert result.num_steps == 1
    return result.phases[0].losses[0], seen


def test_loss_and_gradients_do_not_depend_on_the_accumulation(tmp_path: Path) -> None:
    lengths = [12, 20, 7, 31, 16, 25, 9, 8]  # 128 tokens, unequal rows
    # Eight documents as one row of eight, as rows of several, and as eight rows of one.
    shapes = {
        "1x8": BatchSettings(max_seq_length=128, gradient_accumulation_steps=1),
        "2x4": BatchSettings(max_seq_length=64, gradient_accumulation_steps=2),
        "8x1": BatchSettings(max_seq_length=32, gradient_accumulation_steps=8),
    }
    loss, gradients = gradients_of_the_only_step(tmp_path / "1x8", mixture(lengths, shapes["1x8"]))
    assert gradients
    for name in ("2x4", "8x1"):
        batches = mixture(lengths, shapes[name])
        assert len(batches.micro_batches(0)) > 1
        other_loss, other_gradients = gradients_of_the_only_step(tmp_path / name, batches)
        assert abs(other_loss - loss) < 1e-12
        for parameter, gradient in gradients.items():
            assert (other_gradients[parameter] - gradient).abs().max() < 1e-12, parameter


def test_gradients_are_clipped_and_their_norm_before_is_logged(tmp_path: Path) -> None:
    events = RecordedEvents()
    batches = mixture([32], BatchSettings(max_seq_length=32, gradient_accumulation_steps=1))
    _, gradients = gradients_of_the_only_step(tmp_path / "a", batches)
    norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients.values()))
    assert norm == pytest.approx(1.0, abs=1e-4)
    run(tmp_path / "b", batches, events=events)
    assert events.of(MetricsLogged)[0].metrics["grad_norm"] > 1.5


def test_schedule_warms_up_stays_and_decays() -> None:
    settings = OptimizerSettings(
        learning_rate=1.0,
        warmup_fraction=0.2,
        decay_fraction=0.4,
        final_learning_rate_fraction=0.1,
    )
    rate = warmup_stable_decay(settings, 10, scale=2.0)
    rates = [rate(step) / 2.0 for step in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.775, 0.55, 0.325, 0.1])


@pytest.mark.parametrize("num_steps", [1, 2, 3])
def test_schedule_of_few_steps_is_usable(num_steps: int) -> None:
    settings = OptimizerSettings(learning_rate=1.0, warmup_fraction=0.5, decay_fraction=0.5)
    rate = warmup_stable_decay(settings, num_steps)
    assert all(0 < rate(step) <= 1.0 for step in range(num_steps))


def test_decay_acts_on_matrices_but_not_on_embeddings_norms_and_biases() -> None:
    model = tiny_llama()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, kept = build_optimizer(model, OptimizerSettings(learning_rate=1.0)).param_groups
    assert decayed["weight_decay"] == 0.1
    assert kept["weight_decay"] == 0.0
    assert all(
        "proj" in names[id(parameter)] and parameter.ndim == 2 for parameter in decayed["params"]
    )
    assert {
        names[id(parameter)].rpartition(".")[0].split(".")[-1] for parameter in kept["params"]
    } == {
        "embed_tokens",
        "input_layernorm",
        "post_attention_layernorm",
        "norm",
    }
    assert len(decayed["params"]) + len(kept["params"]) == len(list(model.parameters()))


def test_loss_falls_and_events_say_how(tmp_path: Path) -> None:
    events = RecordedEvents()
    batches = mixture([20] * 24, BatchSettings(max_seq_length=40, gradient_accumulation_steps=2))
    result = run(tmp_path, batches, every=4, events=events, learning_rate=3e-3)
    figures = result.phases[0]
    assert figures.num_steps == batches.num_steps == 6
    assert figures.losses[-1] < figures.losses[0] - 0.5
    metrics = events.of(MetricsLogged)
    assert [payload.step for payload in metrics] == [1, 2, 3, 4, 5, 6]
    assert metrics[-1].metrics["tokens.a"] == 480 == result.phases[0].num_tokens
    assert figures.num_trained_tokens == 240
    assert metrics[0].metrics.keys() == {
        "loss", "learning_rate", "grad_norm", "tokens_per_second", "tokens.a",
    }  # fmt: skip
    progress = events.of(Progress)
    assert (progress[0].done, progress[-1].done, progress[-1].unit) == (0, 480, "tokens")
    assert [payload.path for payload in events.of(CheckpointSaved)] == [
        "checkpoints/step-4", "checkpoints/step-6",
    ]  # fmt: skip
    assert result.model_path == tmp_path / "checkpoints" / "step-6"
    # A finished run keeps its final model alone, without the optimizer's state.
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-6"]
    assert not (result.model_path / "optimizer.safetensors").exists()


def test_rate_that_ruins_the_model_is_stopped_with_step_and_rows(tmp_path: Path) -> None:
    batches = mixture([20] * 40, BatchSettings(max_seq_length=20, gradient_accumulation_steps=2))
    with pytest.raises(TrainingError, match=r"at step \d+ .*rows row\d+, row\d+") as caught:
        run(tmp_path, batches, learning_rate=1.0)
    assert caught.value.code == "train.diverged"
    assert "lower optimizer.learning_rate" in str(caught.value)


def test_non_finite_loss_names_step_and_guilty_row(tmp_path: Path) -> None:
    batches = mixture([20] * 6, BatchSettings(max_seq_length=20, gradient_accumulation_steps=2))
    guilty = batches.micro_batches(1)[1].row_ids[0]

    def poisoned_loss(model, batch):
        loss_sum, count = cross_entropy_loss(model, batch)
        return (loss_sum * math.nan if batch.row_ids == (guilty,) else loss_sum), count

    with pytest.raises(TrainingError, match=f"at step 2 .*rows {guilty};") as caught:
        run(tmp_path, batches, loss_fn=poisoned_loss)
    assert caught.value.code == "train.non_finite_loss"


def test_weights_that_overflow_are_a_non_finite_loss(tmp_path: Path) -> None:
    model = tiny_llama()
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.mul_(1e38)
    batches = mixture([20] * 2, BatchSettings(max_seq_length=20, gradient_accumulation_steps=2))
    with pytest.raises(TrainingError) as caught:
        run(tmp_path, batches, model=model)
    assert caught.value.code == "train.non_finite_loss"


def test_stop_saves_the_state_between_steps(tmp_path: Path) -> None:
    batches = mixture([20] * 12, BatchSettings(max_seq_length=20, gradient_accumulation_steps=2))
    context = RunContext(run_dir=tmp_path, spec_digest=DIGEST, events=RecordedEvents())
    calls = []

    def stopping_loss(model, batch):
        calls.append(batch.row_ids)
        if len(calls) == 7:  # first half of the fourth step
            context.stop.set()
        return cross_entropy_loss(model, batch)

    with pytest.raises(StoppedAtCheckpoint, match="after 3 steps"):
        run(tmp_path, batches, loss_fn=stopping_loss, context=context)
    state = load_training_state(tmp_path / "checkpoints" / "step-3", spec_digest=DIGEST)
    assert state.step == 3
    assert state.progress["cursors"] == [batches.cursor(3)]


def test_other_data_than_the_checkpoints_is_refused(tmp_path: Path) -> None:
    batches = mixture([20] * 12, BatchSettings(max_seq_length=20, gradient_accumulation_steps=2))
    result = run(tmp_path, batches)
    state = load_training_state(result.model_path, spec_digest=DIGEST)
    other = mixture([20] * 11 + [19], BatchSettings(max_seq_length=20))
    phase = Phase(
        name="test", batches=other, loss_fn=cross_entropy_loss, learning_rate=lambda _step: 1e-3
    )
    settings = LoopSettings(
        optimizer=OptimizerSettings(learning_rate=1e-3),
        seed=0,
        checkpoint_every_steps=10,
        spec_digest=DIGEST,
    )
    context = RunContext(run_dir=tmp_path / "again", spec_digest=DIGEST, events=RecordedEvents())
    with pytest.raises(TrainingError, match="data or the tokenizer differ") as caught:
        train(tiny_llama(), tiny_tokenizer(), [phase], settings, context, resume=state)
    assert caught.value.code == "train.resume_mismatch"


def test_other_versions_than_the_checkpoints_are_a_warning(tmp_path: Path) -> None:
    batches = mixture([20] * 4, BatchSettings(max_seq_length=20, gradient_accumulation_steps=2))
    result = run(tmp_path, batches)
    path = result.model_path / TRAINER_STATE_NAME
    document = json.loads(path.read_bytes())
    document["versions"]["num_threads"] = "64"
    path.write_text(json.dumps(document))
    events = RecordedEvents()
    context = RunContext(
        run_dir=tmp_path, spec_digest=DIGEST, events=events, resume_from=result.model_path
    )
    optimizer = OptimizerSettings(learning_rate=1e-3)
    train(
        tiny_llama(),
        tiny_tokenizer(),
        [
            Phase(
                name="test",
                batches=batches,
                loss_fn=cross_entropy_loss,
                learning_rate=warmup_stable_decay(optimizer, batches.num_steps),
            )
        ],
        LoopSettings(optimizer=optimizer, seed=0, checkpoint_every_steps=10, spec_digest=DIGEST),
        context,
        resume=load_training_state(result.model_path, spec_digest=DIGEST),
    )
    [warning] = events.of(RunWarning)
    assert warning.code == "train.environment_differs"
    assert "num_threads" in warning.message
