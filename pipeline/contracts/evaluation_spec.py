"""What an evaluation of a checkpoint is asked to measure."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.fields import DeviceName, DtypeName, EngineName, PositiveInt
from pipeline.contracts.gauge_margin import GAUGE_MARGIN
from pipeline.contracts.harness_tasks import HarnessTaskSettings
from pipeline.contracts.references import (
    BenchmarkRef,
    CorpusRef,
    DomainTestRef,
    GaugeTextsRef,
    MultipleChoiceRef,
    Reference,
    SamplesRef,
)


class TextOverlapSettings(Contract):
    """Greedy answers scored against references, profile `canonical`."""

    dataset: DomainTestRef
    max_new_tokens: int | None = Field(default=None, ge=1)
    """Where an answer is cut; None takes it from the references: the 99th percentile of their
    tokens, rounded up to a multiple of 16."""
    batch_size: PositiveInt = 24
    unseen_documents: tuple[str, ...] = ()
    """`meta.doc_id` values kept out of training; their questions are reported apart."""


class GeneralAbilitySettings(Contract):
    """Multiple-choice questions in full-answer form through lm-evaluation-harness."""

    dataset: MultipleChoiceRef
    retention_margin: float = Field(default=0.02, gt=0.0, lt=1.0)
    """Non-inferiority margin on the retention ratio, fixed before the run."""
    flip_null: bool = True
    """Where the model is the base itself, ask it twice more, so that flips of other models stand
    beside its own; each time costs as much as the first."""


class GaugeSettings(Contract):
    """Bits per byte and KL(base || model) on text sampled from the base with frozen prompts."""

    prompts: CorpusRef
    texts: GaugeTextsRef | None = None
    """Texts an earlier evaluation sampled (its output `gauge_texts`); None samples them now."""
    num_samples: PositiveInt = 40
    """Texts in all, spread evenly over the passages. Where they outnumber the passages, texts of
    one passage count as one unit."""
    num_prompt_tokens: PositiveInt = 16
    max_new_tokens: PositiveInt = 64
    margin: float | None = Field(default=GAUGE_MARGIN, gt=0.0)
    """Bits per byte of KL(base || model) up to which the base is retained, fixed before the run;
    without one there is no verdict."""


class BenchmarkSettings(Contract):
    """A known benchmark, asked as lm-evaluation-harness asks it."""

    dataset: BenchmarkRef
    form: Literal["letter", "full_answer", "number"]
    """`letter`: the choices are listed, their letters are scored. `full_answer`: each choice is
    scored as text after the question. `number`: an answer is generated, its number is compared."""
    num_few_shot: int = Field(default=0, ge=0, le=64)
    """The first so many examples of each subject stand before every question."""
    chat_template: bool = False
    """Examples are turns, the question is the last one."""
    max_new_tokens: PositiveInt = 256
    """Of a generated answer."""

    @model_validator(mode="after")
    def _form_fits_kind(self) -> "BenchmarkSettings":
        if (self.form == "number") != (self.dataset.kind == "domain_test"):
            raise ValueError(
                "form: numbers are generated for questions and answers (`domain_test`), letters "
                "and full answers are scored for `multiple_choice`"
            )
        return self


class EquivalenceMargins(Contract):
    """Differences between two evaluations that count as none, fixed before the run, by measure.

    In the measure's stored unit: points, shares (0.01 is one percentage point), bits. Without a
    margin a comparison never calls two results equivalent. Of two evaluations the smaller margin
    counts.
    """

    rouge1: float | None = Field(default=1.0, gt=0.0)
    rouge2: float | None = Field(default=1.0, gt=0.0)
    rougeL: float | None = Field(default=1.0, gt=0.0)  # noqa: N815 (the measure's key)
    bleu4: float | None = Field(default=0.5, gt=0.0)
    cut_at_cap: float | None = Field(default=0.05, gt=0.0, lt=1.0)
    repeated_4gram_rate: float | None = Field(default=0.02, gt=0.0, lt=1.0)
    reference_bits_per_byte: float | None = Field(default=0.01, gt=0.0)
    is_correct: float | None = Field(default=0.01, gt=0.0, lt=1.0)
    probability: float | None = Field(default=0.01, gt=0.0, lt=1.0)

    def of(self, measure: str) -> float | None:
        """The margin of the measure with this key; None without one."""
        margin: float | None = getattr(self, measure, None)
        return margin


class EvaluateSpec(SpecBase):
    """Measure `model`; with `baseline`, also what it retains of it."""

    kind: Literal["evaluate"] = "evaluate"
    schema_version: Literal[3] = 3  # type: ignore[assignment]  # each kind counts its own versions
    model: Reference
    base: Reference
    """The model whose general ability must be kept; may be `model` itself."""
    baseline: SamplesRef | None = None
    """`samples.parquet` of an evaluation of `base` on the same items (its output `samples`)."""
    text_overlap: TextOverlapSettings | None = None
    general_ability: GeneralAbilitySettings | None = None
    gauge: GaugeSettings | None = None
    benchmarks: tuple[BenchmarkSettings, ...] = Field(
        default=(), exclude_if=lambda listed: not listed
    )
    """Not written out when empty: specs from before there were any keep their digests."""
    harness_tasks: tuple[HarnessTaskSettings, ...] = Field(
        default=(), exclude_if=lambda listed: not listed
    )
    """Not written out when empty, as `benchmarks`."""
    margins: EquivalenceMargins = EquivalenceMargins()
    engine: EngineName = "auto"
    device: DeviceName = "auto"
    dtype: DtypeName = "float32"

    @model_validator(mode="after")
    def _measures_something(self) -> "EvaluateSpec":
        measured = (self.text_overlap, self.general_ability, self.gauge)
        if measured == (None, None, None) and not (self.benchmarks or self.harness_tasks):
            raise ValueError(
                "give at least one of text_overlap, general_ability, gauge, benchmarks, "
                "harness_tasks"
            )
        return self
