"""What trainings found; `docs/training.md` and `docs/distillation.md` define each figure."""

from typing import Literal

from pipeline.contracts.base import Contract


class TrainingFigures(Contract):
    """How much was trained, and how fast."""

    steps: int
    tokens: int
    """Non-padding tokens seen, prompts included."""
    trained_tokens: int
    """Tokens that carried a loss."""
    seconds: float
    tokens_per_second: float


class PhaseResults(TrainingFigures):
    """Steps that shared batches, loss and schedule; losses in nats per trained token."""

    tokens_by_source: dict[str, int]
    loss_first: float
    loss_last: float
    """Mean of the last ten steps."""


class HeldoutLoss(Contract):
    """How well a model predicts a corpus it was never trained on."""

    loss: float
    """Nats per token."""
    bits_per_byte: float
    """Comparable between tokenizers; over the bytes of the predicted tokens only."""
    num_tokens: int
    num_bytes: int


class HeldoutChange(Contract):
    """A held-out corpus before and after training."""

    file: str
    before: HeldoutLoss
    after: HeldoutLoss


class ContinualPretrainResults(PhaseResults):
    """Phase 1."""

    kind: Literal["continual_pretrain"] = "continual_pretrain"
    epochs_by_source: dict[str, float]
    heldout: tuple[HeldoutChange, ...]


class StageResults(PhaseResults):
    """One stage of the curriculum."""

    name: str
    epochs_by_source: dict[str, float]


class CurriculumSftResults(TrainingFigures):
    """Phase 2: sums over the stages, and the stages."""

    kind: Literal["curriculum_sft"] = "curriculum_sft"
    mode: str
    stages: tuple[StageResults, ...]


class TeacherAnswerFigures(Contract):
    """The target's answers that the draft learned from."""

    n: int
    tokens: int
    n_trained: int
    """The others are held back, and acceptance is measured on them."""
    tokens_trained: int
    tail_mass_p95: float
    """95th percentile of the mass outside the stored top k; above 0.25 the run warns."""


class AcceptanceFigures(Contract):
    """What the draft would gain, on answers it was not trained on."""

    n: int
    tokens: int
    greedy_agreement: float
    """Share of positions at which the draft's most probable token is the target's."""
    block_efficiency: dict[str, float]
    """Tokens per target step, by draft length."""


class DraftVocabularyFigures(Contract):
    """The tokens the draft may say, where they are fewer than its vocabulary."""

    size: int
    coverage_trained: float
    """Share of the tokens of the answers trained on that are among them."""
    coverage_heldback: float
    """The same of the answers held back: the draft can agree on no more."""


class DraftMeasurement(Contract):
    """The draft after some steps, on the answers held back for choosing."""

    step: int
    simulated_speedup: float


class EarlyStopFigures(Contract):
    """Which of the drafts that training went through was kept."""

    n: int
    """Answers held back for choosing, other ones than those of `acceptance`."""
    tokens: int
    step: int
    """Of the draft that was kept."""
    simulated_speedup: float
    measured: tuple[DraftMeasurement, ...]
    """All of them, by step."""


class LogitDistillResults(PhaseResults):
    """Phase 3: a trained draft."""

    kind: Literal["logit_distill"] = "logit_distill"
    objective: str
    parameters: int
    """Parameters of the draft."""
    answers: TeacherAnswerFigures
    acceptance: AcceptanceFigures
    vocabulary: DraftVocabularyFigures | None = None
    """None where the draft may say every token."""
    early_stop: EarlyStopFigures | None = None
    """None where the draft of the last step was kept."""
