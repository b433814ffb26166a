"""How a run names what it reads: files by path and digest, or another step's output in a plan."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from pipeline.contracts.base import Contract
from pipeline.errors import SpecError

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
StepId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
DatasetKind = Literal["corpus", "conversations", "domain_test", "multiple_choice"]
Scalar = str | int | bool


class Reference(Contract):
    """A path on this machine, or `from_step` + `output` inside a plan. Exactly one of the two."""

    takes: ClassVar[str] = "model"
    """Name of the output, of an earlier run, that belongs here; forms offer those."""
    path: str | None = Field(default=None, min_length=1)
    from_step: StepId | None = None
    output: str = Field(default="model", pattern=r"^[a-z][a-z0-9_]*$")
    """Which output of the step; only read with `from_step`."""
    digest: Sha256 | None = None
    """SHA-256 of what the path holds; checked before use when given."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> "Reference":
        if (self.path is None) == (self.from_step is None):
            raise ValueError("give exactly one of `path` and `from_step`")
        return self

    @property
    def resolved_path(self) -> str:
        """The path; a plan resolves `from_step` before a run starts."""
        if self.path is None:
            raise SpecError(
                "spec.unresolved_reference",
                f"output {self.output!r} of step {self.from_step!r} is only known inside a plan; "
                "run the plan, or give a `path`",
            )
        return self.path


class UploadRef(Reference):
    """A file as a person sent it; only the import of a data set reads one."""

    takes: ClassVar[str] = "upload"


class ModelSourceRef(Reference):
    """A model that somebody brought; only the import of a checkpoint reads one."""

    takes: ClassVar[str] = "model_source"


class SamplesRef(Reference):
    """Per-sample results of an evaluation."""

    takes: ClassVar[str] = "samples"


class GaugeTextsRef(Reference):
    """Texts that an evaluation sampled from the base."""

    takes: ClassVar[str] = "gauge_texts"


class TeacherCacheRef(Reference):
    """Answers of a target with their log-probabilities, as a distillation stored them."""

    takes: ClassVar[str] = "teacher_cache"


class RowFilter(Contract):
    """Keep rows whose field has one of the values; `keep=False` keeps the others.

    `field` is dotted (`meta.topic_group`). A row without the field has no value, so it is dropped
    by a keeping filter and kept by a dropping one.
    """

    field: str = Field(min_length=1)
    values: tuple[Scalar, ...] = Field(min_length=1)
    keep: bool = True


class DatasetRef(Reference):
    """A data file and which of its rows to use."""

    takes: ClassVar[str] = "dataset"
    kind: DatasetKind
    output: str = Field(default="dataset", pattern=r"^[a-z][a-z0-9_]*$")
    encoding: Literal["utf-8", "gb18030"] = "utf-8"
    where: tuple[RowFilter, ...] = ()
    limit: int | None = Field(default=None, ge=1)
    """Use this many rows, spread evenly over the filtered file; None uses all."""


class CorpusRef(DatasetRef):
    """Documents."""

    kind: Literal["corpus"]


class InstructionRef(DatasetRef):
    """Questions with answers, one turn (`domain_test`) or several (`conversations`)."""

    kind: Literal["conversations", "domain_test"]


class DomainTestRef(DatasetRef):
    """Questions with a reference answer."""

    kind: Literal["domain_test"]


class MultipleChoiceRef(DatasetRef):
    """Questions with choices of which one is right."""

    kind: Literal["multiple_choice"]


class BenchmarkRef(DatasetRef):
    """Questions of a benchmark, with its few-shot examples."""

    kind: Literal["multiple_choice", "domain_test"]


def named_references(value: object, location: str = "") -> Iterator[tuple[str, Reference]]:
    """(dotted location, reference) of everything that a spec, or a part of one, names.

    By type, not by the names of keys: a column of a data file may be called `path`.
    """
    if isinstance(value, Reference):
        yield location, value
        return
    children: Iterator[tuple[object, object]]
    if isinstance(value, BaseModel):
        children = ((name, getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        children = iter(value.items())
    elif isinstance(value, list | tuple):
        children = iter(enumerate(value))
    else:
        return
    for name, child in children:
        yield from named_references(child, f"{location}.{name}" if location else str(name))
