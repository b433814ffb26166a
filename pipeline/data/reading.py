"""How the rows of a file are to be read, as the readers pass it on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pipeline.contracts.import_specs import EncodingChoice, ReadingOptions
from pipeline.contracts.references import DatasetKind
from pipeline.data.turn_names import TurnNames


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The fields of `ReadingOptions`, and what the rows are."""

    kind: DatasetKind
    encoding: EncodingChoice = "auto"
    delimiter: str = "auto"
    sheets: tuple[str, ...] = ()
    header_row: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    columns_at: Mapping[int, str] = field(default_factory=dict)
    max_document_chars: int | None = None
    accept: tuple[str, ...] = ()
    answers_from: int | None = None
    turns: TurnNames | None = None
    """How turns are written, where a description beside the file says so."""

    @classmethod
    def of(cls, options: ReadingOptions, kind: DatasetKind) -> Self:
        """What a spec asks for."""
        return cls(
            kind=kind, **{name: getattr(options, name) for name in ReadingOptions.model_fields}
        )

    @property
    def is_mapped(self) -> bool:
        """A person has said what columns mean."""
        return bool(self.columns or self.columns_at)
