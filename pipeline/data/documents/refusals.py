"""A document that is refused as a whole."""

from pipeline.contracts.row_errors import RowError


class DocumentRefusedError(Exception):
    """The document is not read; carries why."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.code)
        self.error = error


def refused(code: str, reason: str) -> DocumentRefusedError:
    """The refusal with this code, whose reason is one of the phrases of documents."""
    return DocumentRefusedError(RowError(code=code, params={"reason": reason}))
