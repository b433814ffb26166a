"""A version made of another: rows corrected, taken out or added, everything else as it was."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.dataset_manifest import DatasetManifest, SourceFile
from pipeline.contracts.references import DatasetRef

RowId = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Reason = Annotated[str, StringConstraints(max_length=500)]


class ReplaceRow(Contract):
    """The row with this id gets other content; place and id stay."""

    action: Literal["replace"] = "replace"
    id: RowId
    text: str
    """The row as one JSON object, as in a data file; without its id."""
    reason: Reason = ""


class DeleteRow(Contract):
    """The row with this id is taken out."""

    action: Literal["delete"] = "delete"
    id: RowId
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class AddRow(Contract):
    """One more row, behind the others: a rejected one that was repaired."""

    action: Literal["add"] = "add"
    cells: dict[str, str] | None = None
    """Field -> cell, for a row of a table."""
    text: str | None = None
    """The row as one JSON object. Exactly one of the two."""
    line: int = Field(default=1, ge=1)
    """Where it stood in its file; makes its id where it has none."""
    reason: Reason = ""

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if (self.cells is None) == (self.text is None):
            raise ValueError("give exactly one of `cells` and `text`")
        return self


class TrimTexts(Contract):
    """White space at both ends of every text is taken off."""

    action: Literal["trim"] = "trim"


class MapValue(Contract):
    """One value of a field becomes another, in every row that has it."""

    action: Literal["map_value"] = "map_value"
    field: Annotated[str, StringConstraints(pattern=r"^(lang|source|license|meta\..{1,200})$")]
    value: Annotated[str, StringConstraints(max_length=1_000)]
    to: Annotated[str, StringConstraints(max_length=1_000)]


RowChange = Annotated[
    ReplaceRow | DeleteRow | AddRow | TrimTexts | MapValue, Field(discriminator="action")
]


class ReviseDatasetSpec(SpecBase):
    """Make a version of `base`: with `changes`, and with the rows of `append` behind its own.

    Rows that no change names are stored as they were, in their order. Nothing is written when a
    change cannot be made or a row would be wrong: the results say which.
    """

    kind: Literal["revise_dataset"] = "revise_dataset"
    base: DatasetRef
    """A committed version."""
    changes: tuple[RowChange, ...] = Field(default=(), max_length=2_000)
    append: DatasetRef | None = None
    """Another version, or the rows of an import, of the same kind."""
    same_id: Literal["refuse", "replace", "skip"] = "refuse"
    """What becomes of an appended row whose id the version has already. Ids that were generated
    are made anew instead."""
    reason: str = Field(default="", max_length=500)
    """Why; stands in the manifest."""
    author: str = Field(default="", max_length=150)
    """Who asked; stands in the manifest."""
    source: SourceFile | None = None
    """What the base was read from, as its manifest says; None looks for the manifest beside it,
    which a run that may read only what its spec names does not see."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.changes and self.append is None:
            raise ValueError("changes: give at least one change or something to append")
        named = [change.id for change in self.changes if isinstance(change, ReplaceRow | DeleteRow)]
        if len(set(named)) != len(named):
            raise ValueError("changes: a row is named twice")
        for place, ref in (("base", self.base), ("append", self.append)):
            if ref is None:
                continue
            if ref.where or ref.limit is not None:
                raise ValueError(f"{place}: a version is revised as a whole, without `where`")
            if ref.kind != self.base.kind:
                raise ValueError(f"{place}: rows of another kind than the base's")
        return self


class ChangeProblem(Contract):
    """Why a change cannot be made (`contracts.row_errors` has the words)."""

    change: int | None = None
    """Index of the change; None for a row that was to be appended."""
    id: str
    code: str
    column: str = ""
    params: dict[str, str | int]
    value_excerpt: str = ""


class ReviseDatasetResults(Contract):
    """What became of the rows: kept + changed + deleted + replaced = rows of the base."""

    kind: Literal["revise_dataset"] = "revise_dataset"
    num_kept: int = Field(ge=0)
    """Rows of the base that are stored as they were."""
    num_changed: int = Field(ge=0)
    num_deleted: int = Field(ge=0)
    num_replaced: int = Field(ge=0)
    """Rows of the base in whose stead an appended row of the same id is stored."""
    num_added: int = Field(ge=0)
    num_skipped: int = Field(ge=0)
    """Appended rows that were left out, because the base has their id."""
    problems: tuple[ChangeProblem, ...] = ()
    """The first hundred."""
    num_problems: int = Field(default=0, ge=0)
    manifest: DatasetManifest | None = None
    """Of the version; None where there are problems."""
