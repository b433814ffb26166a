"""What differs between two versions of a data set, by the ids of their rows."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.references import DatasetRef


class CompareVersionsSpec(SpecBase):
    """Find the rows that `newer` has more or less than `older`, and those with other content."""

    kind: Literal["compare_versions"] = "compare_versions"
    older: DatasetRef
    newer: DatasetRef

    @model_validator(mode="after")
    def _are_of_one_kind(self) -> Self:
        if self.older.kind != self.newer.kind:
            raise ValueError("newer: rows of another kind than the older version's")
        return self


class CompareVersionsResults(Contract):
    """Counts; the rows themselves stand in the output `differences`.

    same + changed + removed = rows of the older version, same + changed + added of the newer.
    """

    kind: Literal["compare_versions"] = "compare_versions"
    num_same: int = Field(ge=0)
    num_changed: int = Field(ge=0)
    num_added: int = Field(ge=0)
    num_removed: int = Field(ge=0)
    changed_fields: dict[str, int]
    """Field -> rows in which it is another one; most frequent first."""
