"""Row errors in the reader's language."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from pipeline.contracts.row_error_phrases import PHRASE_PARAMS, ROW_ERROR_PHRASES
from pipeline.contracts.row_errors import ROW_ERROR_TEXTS


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownError:
    """One rejected row, or what is wrong with the file as a whole."""

    line: int | None
    column: str
    code: str
    message: str
    hint: str
    cells: tuple[str, ...] | None
    file: str
    """Which member of an archive; empty for a single file."""
    text: str
    """The row as it was written, on one line; empty when nothing could be read of it."""
    index: int = 0
    """Of the row among the rejected ones, from 0."""


def shown_error(row: Mapping[str, Any], headers: Mapping[str, str], index: int = 0) -> ShownError:
    """A row of `errors.parquet` for a page or a download; `headers` as for `describe`."""
    params = {**json.loads(row["params"]), "value": row["value_excerpt"] or ""}
    message, hint = describe(row["code"], params, headers)
    field = row["column"] or ""
    cells = None if row["cells"] is None else tuple(row["cells"])
    return ShownError(
        index=index,
        line=row["line"],
        column=headers.get(field, field),
        code=row["code"],
        message=message,
        hint=hint,
        cells=cells,
        # Errors written before archives were read have no such column.
        file=row.get("file") or "",
        text=" | ".join(cells) if cells is not None else row["row"] or row["value_excerpt"] or "",
    )


def describe(
    code: str, params: Mapping[str, str | int], headers: Mapping[str, str]
) -> tuple[str, str]:
    """What was wrong and what to do; the code alone when it is of another version of the pipeline.

    The templates are ours, the params may hold anything.

    Args:
        code: of the row error.
        params: what its text is filled with.
        headers: the file's own name of each field, by which its author knows it.
    """
    texts = ROW_ERROR_TEXTS.get(code)
    if texts is None:
        return code, ""
    words = {
        name: gettext(str(value)) if name in PHRASE_PARAMS and value in ROW_ERROR_PHRASES else value
        for name, value in params.items()
    }
    if "field" in words:
        words["field"] = headers.get(str(words["field"]), words["field"])
    try:
        return (
            gettext(texts.message).format_map(words),
            gettext(texts.hint).format_map(words),
        )
    except KeyError:
        return code, ""
