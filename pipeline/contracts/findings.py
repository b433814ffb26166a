"""Something found out about a data file that rejects no row."""

from pydantic import Field

from pipeline.contracts.base import Contract


class Finding(Contract):
    """A code and what its words are filled with.

    `contracts.workbook_notes` has the words of notes; the platform has those of reasons.
    """

    code: str
    params: dict[str, str | int] = Field(default_factory=dict)
