"""Notes on the sheets of a workbook, in the form of a run's results."""

from collections.abc import Iterable

from pipeline.contracts.findings import Finding
from pipeline.data.version_files import storable
from pipeline.data.workbooks.notes import SheetNote


def noted(notes: Iterable[SheetNote]) -> tuple[Finding, ...]:
    """The notes as a report can hold them."""
    return tuple(
        Finding(
            code=note.code,
            params={
                name: storable(value) if isinstance(value, str) else value
                for name, value in note.params.items()
            },
        )
        for note in notes
    )
