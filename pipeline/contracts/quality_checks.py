"""What is looked for in a data set before training, what was found, and how it is put right."""

from typing import ClassVar, Literal, get_args

from pydantic import Field, model_validator

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.dataset_manifest import DatasetManifest, SourceFile
from pipeline.contracts.references import BenchmarkRef, DatasetRef, Reference

PersonalKind = Literal["identity_number", "mobile_phone", "bank_card", "email"]
CheckCode = Literal[
    "duplicate.exact",
    "duplicate.near",
    "overlap.test_set",
    "language.differs",
    "length.short",
    "length.long",
    "boilerplate.line",
    "personal.identity_number",
    "personal.mobile_phone",
    "personal.bank_card",
    "personal.email",
]
"""What a row can be flagged for; `docs/data_quality.md` has a heading for each."""
CHECK_CODES: tuple[CheckCode, ...] = get_args(CheckCode)
PERSONAL_KINDS: tuple[PersonalKind, ...] = get_args(PersonalKind)


class CheckDatasetSpec(SpecBase):
    """Look through a version for what should not be trained on; every row is read, none changed."""

    kind: Literal["check_dataset"] = "check_dataset"
    dataset: DatasetRef
    test_sets: tuple[BenchmarkRef, ...] = ()
    """What the model may be judged on: overlap with each of them is looked for."""
    near_duplicate_similarity: float = Field(default=0.8, ge=0.7, le=0.99)
    """Jaccard similarity of 5-character shingles from which rows are near duplicates."""


class CheckCount(Contract):
    """Rows that one check flags."""

    check: CheckCode
    num_rows: int


class LengthRule(Contract):
    """Lengths of a field, in characters, outside of which a row is flagged."""

    field: str
    shortest: int
    median: float
    longest: int


class RepeatedLine(Contract):
    """A line that stands in many rows."""

    line: str
    num_rows: int


class OverlapExample(Contract):
    """A row that holds text of a test set's item."""

    row: int
    """Index of the row, from 0."""
    row_id: str
    item_id: str
    share: float
    """Of the item's n-grams, those that stand in the row, 0 to 1."""
    text: str
    """Where the first shared n-gram begins in the row."""


class OverlapWithTestSet(Contract):
    """How much of one test set stands in the data."""

    digest: str
    """SHA-256 of the test set's file."""
    num_items: int
    num_hit_items: int
    """Items of which any n-gram stands in the data."""
    num_blocking_items: int
    """Items of which half of the n-grams or more do: not to be judged by."""
    num_short_items: int
    """Items too short for an n-gram, which are compared as a whole."""
    examples: tuple[OverlapExample, ...]
    """Those with the highest shares."""

    @property
    def is_blocking(self) -> bool:
        """A model trained on the data must not be judged by the test set."""
        return self.num_blocking_items > 0


class CheckDatasetResults(Contract):
    """What was found; the flags themselves are the output `flags`."""

    kind: Literal["check_dataset"] = "check_dataset"
    num_rows: int
    num_flagged_rows: int
    """Rows with one flag or several."""
    checks: tuple[CheckCount, ...]
    """Only those that flag a row."""
    num_duplicate_groups: int
    """Kept rows of which there are duplicates, exact or near."""
    languages: dict[str, int]
    """Rows by the language their script tells; `und` where it tells none."""
    length_rules: tuple[LengthRule, ...]
    repeated_lines: tuple[RepeatedLine, ...]
    """The most frequent twenty."""
    test_sets: tuple[OverlapWithTestSet, ...]
    """In the order of the spec."""


class FlagsRef(Reference):
    """Flags that a check of the same version found."""

    takes: ClassVar[str] = "flags"
    output: str = Field(default="flags", pattern=r"^[a-z][a-z0-9_]*$")


DroppedCheck = Literal["duplicate.exact", "duplicate.near", "overlap.test_set"]


class MaskDatasetSpec(SpecBase):
    """Make a version without personal data, and without rows that a check has flagged."""

    kind: Literal["mask_dataset"] = "mask_dataset"
    dataset: DatasetRef
    personal: tuple[PersonalKind, ...] = ("identity_number", "mobile_phone", "bank_card")
    """What is replaced by a placeholder."""
    style: Literal["name", "number", "partial"] = "name"
    """`[身份证号]`; `[身份证号1]`, the same number for equal values; `110***********12`."""
    flags: FlagsRef | None = None
    drop: tuple[DroppedCheck, ...] = ()
    """Rows with these flags are left out; of duplicates the first stays."""
    source: SourceFile | None = None
    """What the version was read from, as its manifest says; None takes the file that is given."""
    num_rejected: int = Field(default=0, ge=0)
    """Rows of that source that were left out because they are wrong."""
    author: str = Field(default="", max_length=150)
    reason: str = Field(default="", max_length=200)
    """Who makes the version, and why; the new manifest says both."""

    @model_validator(mode="after")
    def _there_is_something_to_do(self) -> "MaskDatasetSpec":
        if not self.personal and not self.drop:
            raise ValueError("personal: choose something to mask, or in `drop` something to remove")
        if self.drop and self.flags is None:
            raise ValueError("flags: rows are left out by the flags of a check; name them")
        return self


class MaskDatasetResults(Contract):
    """What was replaced and left out."""

    kind: Literal["mask_dataset"] = "mask_dataset"
    num_rows: int
    num_masked_rows: int
    num_masked: dict[PersonalKind, int]
    """Places by kind of data."""
    num_dropped: dict[DroppedCheck, int]
    """Rows by the first of their flags."""
    manifest: DatasetManifest | None = None
    """Of the new version; None when nothing is left, or nothing would change."""
