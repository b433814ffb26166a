"""Documents longer than asked become one row for each piece."""

from dataclasses import replace

from pipeline.data.documents.cutting import cut
from pipeline.data.records import Document, Record

PIECE_KEY = "piece"
PIECES_KEY = "pieces"


def readable_pieces(text: str, limit: int | None) -> list[str]:
    """`cut`, but white space alone is no piece: it stays with the one before, or begins the next.

    So a piece may be longer than `limit` by white space. None cuts nothing.
    """
    if limit is None or len(text) <= limit:
        return [text]
    pieces: list[str] = []
    for piece in cut(text, limit):
        if pieces and (piece.isspace() or pieces[-1].isspace()):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return pieces


def cut_record(record: Record, limit: int | None) -> list[Document]:
    """The pieces of a document that is longer than `limit`, `<id>#1` to `<id>#n`; none of others.

    `meta` has which of how many a piece is.
    """
    if limit is None or not isinstance(record, Document) or len(record.text) <= limit:
        return []
    pieces = readable_pieces(record.text, limit)
    return [
        replace(
            record,
            id=f"{record.id}#{number}",
            text=text,
            meta={**record.meta, PIECE_KEY: number, PIECES_KEY: len(pieces)},
        )
        for number, text in enumerate(pieces, start=1)
    ]
