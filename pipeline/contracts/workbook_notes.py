"""What a person should know of a workbook before its rows are stored: codes and their words.

A note travels as `code` and `params` from the process that read the workbook to the page that shows
it; the English words are the message ids of the translations. No note rejects a row.
"""

from collections.abc import Mapping
from types import MappingProxyType

WORKBOOK_NOTE_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "workbook.hidden_sheets": "Hidden sheets are not read: {sheets}",
        "workbook.other_sheets": "Sheets that are not read: {sheets}",
        "sheet.rows_above": "Rows above the header are not read ({count}), beginning with: {text}",
        "sheet.as_shown": (
            "Column {column}: values are stored as they are shown, for example {shown} and not "
            "{stored}"
        ),
        "sheet.shown_as_nothing": (
            "Column {column}: some values are not shown because of their number format, and are "
            "stored as empty, for example {stored}"
        ),
        "sheet.lost_digits": (
            "Column {column}: numbers of more than 15 digits ({count}) had lost their last digits "
            "before this file was saved, for example {value}; write them as text"
        ),
        "sheet.unknown_format": (
            "Column {column}: the number format {format} is not known, or shows no such value; "
            "numbers ({count}) are stored without it, for example {value}"
        ),
        "sheet.merged_cells": (
            "The text of a merged cell is stored in each of its rows; cells filled: {count}"
        ),
        "sheet.hidden_rows": "Hidden rows are read like the others: {count}",
        "sheet.hidden_columns": "Hidden columns are read like the others: {columns}",
    }
)
"""`str.format` templates over the note's params; those of a sheet also have `sheet`."""
