"""What the two imports are asked to do: a file becomes a data set version, a model a checkpoint.

These kinds start without torch, so that a person who uploads a file waits for seconds.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from pipeline.contracts.base import SpecBase
from pipeline.contracts.references import DatasetKind, ModelSourceRef, UploadRef

ColumnTarget = Annotated[
    str, StringConstraints(pattern=r"^(ignore|meta\.[^.\s][^.]{0,99}|[A-Za-z][A-Za-z_]{0,39})$")
]
"""A field of the kind, `meta.<name>`, or `ignore`."""


class ImportDatasetSpec(SpecBase):
    """Read a data file row by row into an immutable version and a report of what is wrong.

    `all_or_nothing` writes a version only when every row is valid; `valid_rows` leaves the rejected
    rows out and reports them.
    """

    kind: Literal["import_dataset"] = "import_dataset"
    source: UploadRef
    file_name: str = Field(min_length=1, max_length=255)
    """What the person called the file; shown in reports, never used as a path."""
    dataset_kind: DatasetKind
    encoding: Literal["auto", "utf-8", "gb18030"] = "auto"
    columns: dict[str, ColumnTarget] = Field(default_factory=dict)
    """Column or top-level key -> what it means, for names the alias table does not know."""
    sheet: str | None = Field(default=None, min_length=1, max_length=200)
    """Sheet of a workbook; None takes the only visible one with content."""
    policy: Literal["valid_rows", "all_or_nothing"] = "all_or_nothing"

    @model_validator(mode="after")
    def _fields_are_given_once(self) -> "ImportDatasetSpec":
        targets = [target for target in self.columns.values() if target != "ignore"]
        repeated = sorted({target for target in targets if targets.count(target) > 1})
        if repeated:
            raise ValueError(f"columns: several columns are mapped to {', '.join(repeated)}")
        return self


class ImportCheckpointSpec(SpecBase):
    """Inspect a model directory or `.gguf` file and copy it, so that later changes do no harm."""

    kind: Literal["import_checkpoint"] = "import_checkpoint"
    source: ModelSourceRef
    license_note: str = Field(default="", max_length=500)
    """Under which terms the model may be used; shown with it, without effect on the result."""
