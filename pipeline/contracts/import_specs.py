"""What the two imports are asked to do: a file becomes a data set version, a model a checkpoint.

These kinds start without torch, so that a person who uploads a file waits for seconds.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.references import DatasetKind, ModelSourceRef, UploadRef

ColumnTarget = Annotated[
    str, StringConstraints(pattern=r"^(ignore|meta\.[^.\s][^.]{0,99}|[A-Za-z][A-Za-z_]{0,39})$")
]
"""A field of the kind, `meta.<name>`, or `ignore`."""
EncodingChoice = Literal["auto", "utf-8", "gb18030", "big5", "shift_jis", "utf-16"]
DelimiterChoice = Literal["auto", ",", ";", "\t", "|"]
SheetName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ReadingOptions(Contract):
    """How a data file is to be read; what is left at its default is found out from the file."""

    encoding: EncodingChoice = "auto"
    """Of text; workbooks and Parquet have their own."""
    delimiter: DelimiterChoice = "auto"
    """Between the columns of a CSV file."""
    sheets: tuple[SheetName, ...] = Field(default=(), max_length=100)
    """Sheets of a workbook, in this order; none takes the only visible one with content."""
    header_row: int | None = Field(default=None, ge=1, le=1_048_576)
    """Line of a CSV file or row of a sheet that names the columns, from 1; rows above it are
    titles."""
    columns: dict[str, ColumnTarget] = Field(default_factory=dict)
    """Column or top-level key -> what it means, for names the alias table does not know."""
    columns_at: dict[Annotated[int, Field(ge=1, le=500)], ColumnTarget] = Field(
        default_factory=dict
    )
    """Position of a table's column, from 1, -> what it means; goes before its name."""
    max_document_chars: int | None = Field(default=None, ge=100, le=10_000_000)
    """Longer documents are cut at ends of paragraphs; None leaves them whole."""
    accept: tuple[Literal["row.mojibake"], ...] = ()
    """Codes of row errors that a person looked at and accepts: such rows are kept as they are."""
    answers_from: Literal[0, 1] | None = None
    """What the first choice is called where answers are numbers; None takes 0, and asks where the
    answers seem to count from 1."""

    @model_validator(mode="after")
    def _fields_are_given_once(self) -> Self:
        for name, targets in (("columns", self.columns), ("columns_at", self.columns_at)):
            fields = [target for target in targets.values() if target != "ignore"]
            repeated = sorted({field for field in fields if fields.count(field) > 1})
            if repeated:
                raise ValueError(f"{name}: several columns are mapped to {', '.join(repeated)}")
        return self


class ImportDatasetSpec(SpecBase, ReadingOptions):
    """Read a data file row by row into an immutable version and a report of what is wrong.

    `all_or_nothing` writes a version only when every row is valid; `valid_rows` leaves the rejected
    rows out and reports them.
    """

    schema_version: Literal[2] = 2  # type: ignore[assignment]  # version 1 read one sheet
    kind: Literal["import_dataset"] = "import_dataset"
    source: UploadRef
    file_name: str = Field(min_length=1, max_length=255)
    """What the person called the file; shown in reports, never used as a path."""
    dataset_kind: DatasetKind
    policy: Literal["valid_rows", "all_or_nothing"] = "all_or_nothing"


class ImportCheckpointSpec(SpecBase):
    """Inspect a model directory or `.gguf` file and copy it, so that later changes do no harm."""

    kind: Literal["import_checkpoint"] = "import_checkpoint"
    source: ModelSourceRef
    license_note: str = Field(default="", max_length=500)
    """Under which terms the model may be used; shown with it, without effect on the result."""
