"""Tasks that lm-evaluation-harness brings along: which to ask, and what was found."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from pipeline.contracts.base import Contract
from pipeline.contracts.references import Reference, Sha256

TaskName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+()-]{0,199}$")]
"""As `lm-eval ls tasks` lists it. A name, never a file: a task is code."""


class TaskFilesRef(Reference):
    """A folder with the rows of a task, one file for each split, named after it."""

    takes: ClassVar[str] = "task_files"


class HarnessTaskSettings(Contract):
    """A task installed with the harness, with its own prompts and metrics."""

    task: TaskName
    files: TaskFilesRef | None = None
    """The rows (`test.jsonl`, `train.parquet`), with the fields that they have in the task's data
    set. Without it the task must make its rows, or the harness's cache have them."""
    num_few_shot: int | None = Field(default=None, ge=0, le=64)
    """None: as the task has it. A task that fixes none at all keeps none."""
    limit: int | None = Field(default=None, ge=1)
    """The first so many questions."""
    chat_template: bool = False
    """Examples are turns, the question is the last one."""


class HarnessMetric(Contract):
    """A figure as the harness gives it."""

    metric: str
    filter: str
    """What the harness made of the answers before scoring them; `none` where nothing."""
    value: float | None
    """None where it is no finite number."""
    standard_error: float | None


class HarnessTaskResults(Contract):
    """What a task found, with everything that can change its figures."""

    task: str
    version: str
    """As the task's authors count it."""
    num_few_shot: int
    chat_template: bool
    n: int = Field(ge=0)
    num_items: int = Field(ge=0)
    """Questions of the split, of which `n` were asked."""
    metrics: tuple[HarnessMetric, ...]
    files_sha256: dict[str, Sha256]
    """Of the files brought in, by name; empty for a task that brings its own rows."""
    prompts_sha256: Sha256
    """Over everything that was asked, in order: equal where the same was asked."""
    harness: str
