"""What a run is asked to do: one frozen model for each kind, and the union of them.

A spec is complete: with the files it names and the code version it determines the result. It holds
no attempt number, no resume path and no output directory; those belong to the execution.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from pipeline.contracts.base import (
    UNION_TAGS,
    Contract,
    SpecBase,
    describe_validation_error,
)
from pipeline.contracts.import_specs import ImportCheckpointSpec, ImportDatasetSpec
from pipeline.contracts.references import DatasetRef, Reference, StepId
from pipeline.errors import SpecError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
EngineName = Literal["auto", "torch", "vllm"]
"""`auto` takes vLLM where a GPU and the package are present, our own engines elsewhere."""


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
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"


class MixtureSource(Contract):
    """One source of a token mixture."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    dataset: DatasetRef
    weight: float = Field(gt=0.0)
    """Share of the training tokens, relative to the other sources' weights."""


class ContinualPretrainSpec(TrainingSpecBase):
    """Continue pre-training `model` on a token mixture of domain text and general replay."""

    kind: Literal["continual_pretrain"] = "continual_pretrain"
    model: Reference
    sources: tuple[MixtureSource, ...] = Field(min_length=1)
    heldout: tuple[DatasetRef, ...] = ()
    """Corpora whose loss is measured before and after, never trained on."""
    num_tokens: int = Field(ge=1)
    """Budget of non-padding training tokens."""

    @model_validator(mode="after")
    def _sources_are_corpora(self) -> "ContinualPretrainSpec":
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"sources: names must differ, got {', '.join(names)}")
        for index, source in enumerate(self.sources):
            if source.dataset.kind != "corpus":
                raise ValueError(f"sources.{index}.dataset.kind must be corpus")
        for index, dataset in enumerate(self.heldout):
            if dataset.kind != "corpus":
                raise ValueError(f"heldout.{index}.kind must be corpus")
        return self


class CurriculumStage(Contract):
    """One stage of supervised fine-tuning."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    datasets: tuple[DatasetRef, ...] = Field(min_length=1)
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
    def _stages_are_trainable(self) -> "CurriculumSftSpec":
        for index, stage in enumerate(self.stages):
            for position, dataset in enumerate(stage.datasets):
                if dataset.kind not in {"conversations", "domain_test"}:
                    raise ValueError(
                        f"stages.{index}.datasets.{position}.kind must be conversations or "
                        f"domain_test (instruction, input, output), not {dataset.kind}"
                    )
        if self.stages[0].replay_fraction > 0:
            raise ValueError("stages.0.replay_fraction must be 0: no earlier stage to replay")
        return self


class DraftArchitecture(Contract):
    """A draft pays only when it is shallow and narrow: its cost is the first term of the bound."""

    num_layers: PositiveInt = 2
    hidden_size: int = Field(default=192, ge=8)


class TargetAnswers(Contract):
    """Text the draft learns from: the target's own answers with its top-k log-probabilities."""

    prompts: DatasetRef
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
    teacher_cache: Reference | None = None
    """A cache another run wrote for the same target and `answers`; None writes one."""
    draft: DraftArchitecture = DraftArchitecture()
    num_epochs: PositiveInt = 8
    kl_weight: Fraction = 0.5
    """Loss = kl_weight * KL + (1 - kl_weight) * cross-entropy to the target's argmax."""


class DraftArm(Contract):
    """A draft model as one arm of the benchmark."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    model: Reference


class SpeculativeDecodeSpec(SpecBase):
    """Measure speculative decoding of `target` against its autoregressive decoding.

    Every arm decodes the same prompts in the same process, interleaved over `num_repeats`.
    """

    kind: Literal["speculative_decode"] = "speculative_decode"
    target: Reference
    drafts: tuple[DraftArm, ...] = ()
    prompts: DatasetRef
    num_prompts: PositiveInt = 4
    max_new_tokens: PositiveInt = 64
    num_speculative_tokens: int | None = Field(default=None, ge=1, le=16)
    """Draft length; None takes each arm's best length by the measured costs."""
    num_repeats: PositiveInt = 3
    temperature: float = Field(default=0.0, ge=0.0)
    num_losslessness_prompts: PositiveInt = 4
    ngram_arm: bool = True
    engine: EngineName = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _arms_differ(self) -> "SpeculativeDecodeSpec":
        names = ["autoregressive", "ngram", *(arm.name for arm in self.drafts)]
        if len(set(names)) != len(names):
            raise ValueError(f"drafts: arm names must differ, got {', '.join(names)}")
        if not self.drafts and not self.ngram_arm:
            raise ValueError("drafts: give a draft or keep ngram_arm; nothing would be compared")
        return self


class TextOverlapSettings(Contract):
    """Greedy answers scored against references, profile `canonical`."""

    dataset: DatasetRef
    max_new_tokens: PositiveInt = 96
    batch_size: PositiveInt = 24
    unseen_documents: tuple[str, ...] = ()
    """`meta.doc_id` values kept out of training; their questions are reported apart."""


class GeneralAbilitySettings(Contract):
    """Multiple-choice questions in full-answer form through lm-evaluation-harness."""

    dataset: DatasetRef
    retention_margin: float = Field(default=0.02, gt=0.0, lt=1.0)
    """Non-inferiority margin on the retention ratio, fixed before the run."""


class GaugeSettings(Contract):
    """Bits per byte and KL(base || model) on text sampled from the base with frozen prompts."""

    prompts: DatasetRef
    texts: Reference | None = None
    """Texts an earlier evaluation sampled (its output `gauge_texts`); None samples them now."""
    num_samples: PositiveInt = 8
    num_prompt_tokens: PositiveInt = 16
    max_new_tokens: PositiveInt = 64


class EvaluateSpec(SpecBase):
    """Measure `model`; with `baseline`, also what it retains of it."""

    kind: Literal["evaluate"] = "evaluate"
    model: Reference
    base: Reference
    """The model whose general ability must be kept; may be `model` itself."""
    baseline: Reference | None = None
    """`samples.parquet` of an evaluation of `base` on the same items (its output `samples`)."""
    text_overlap: TextOverlapSettings | None = None
    general_ability: GeneralAbilitySettings | None = None
    gauge: GaugeSettings | None = None
    engine: EngineName = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _measures_something(self) -> "EvaluateSpec":
        if self.text_overlap is None and self.general_ability is None and self.gauge is None:
            raise ValueError("give at least one of text_overlap, general_ability, gauge")
        expected = {"text_overlap": "domain_test", "general_ability": "multiple_choice"}
        for field, kind in expected.items():
            settings = getattr(self, field)
            if settings is not None and settings.dataset.kind != kind:
                raise ValueError(f"{field}.dataset.kind must be {kind}")
        return self


RunSpec = Annotated[
    ContinualPretrainSpec
    | CurriculumSftSpec
    | LogitDistillSpec
    | SpeculativeDecodeSpec
    | EvaluateSpec
    | ImportDatasetSpec
    | ImportCheckpointSpec,
    Field(discriminator="kind"),
]


class Gate(Contract):
    """A condition on a step's report; a plan stops where it does not hold."""

    metric: str = Field(min_length=1)
    """Dotted path into the step's `report.json`, such as `metrics.losslessness.is_lossless`."""
    operator: Literal["equal", "not_equal", "at_least", "at_most"]
    value: bool | int | float | str


class PlanStep(Contract):
    """One run of a plan and what must come before it."""

    id: StepId
    spec: RunSpec
    needs: tuple[StepId, ...] = ()
    """Steps that must have succeeded, besides those its references name."""
    gates: tuple[Gate, ...] = ()


class PlanSpec(SpecBase):
    """Steps with dependencies and gates, executed in an order that respects both."""

    kind: Literal["plan"] = "plan"
    steps: tuple[PlanStep, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "PlanSpec":
        ids = [step.id for step in self.steps]
        repeated = sorted({step_id for step_id in ids if ids.count(step_id) > 1})
        if repeated:
            raise ValueError(f"steps: ids used twice: {', '.join(repeated)}")
        return self


AnySpec = Annotated[
    ContinualPretrainSpec
    | CurriculumSftSpec
    | LogitDistillSpec
    | SpeculativeDecodeSpec
    | EvaluateSpec
    | ImportDatasetSpec
    | ImportCheckpointSpec
    | PlanSpec,
    Field(discriminator="kind"),
]

_ADAPTER: TypeAdapter[AnySpec] = TypeAdapter(AnySpec)
_RUN_ADAPTER: TypeAdapter[RunSpec] = TypeAdapter(RunSpec)
RUN_KINDS = (
    "continual_pretrain",
    "curriculum_sft",
    "logit_distill",
    "speculative_decode",
    "evaluate",
    "import_dataset",
    "import_checkpoint",
)
UNION_TAGS.update((*RUN_KINDS, "plan"))


def parse_spec(document: str | bytes) -> AnySpec:
    """The spec written in a JSON document.

    Raises:
        SpecError: `spec.invalid` with one line for each problem.
    """
    try:
        return _ADAPTER.validate_json(document)
    except ValidationError as exc:
        raise SpecError("spec.invalid", describe_validation_error(exc)) from exc


def parse_run_spec(document: str | bytes) -> RunSpec:
    """The spec of one run; a plan is refused.

    Raises:
        SpecError: `spec.invalid` with one line for each problem.
    """
    try:
        return _RUN_ADAPTER.validate_json(document)
    except ValidationError as exc:
        raise SpecError("spec.invalid", describe_validation_error(exc)) from exc


def spec_schema() -> dict[str, object]:
    """JSON Schema of every document `parse_spec` accepts."""
    return _ADAPTER.json_schema()
