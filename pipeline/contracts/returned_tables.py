"""Tables that the platform gives out and takes back: rejected rows, and versions as CSV or XLSX.

Spreadsheet programs run a cell that begins like a formula. In a CSV file an apostrophe before it
makes it text; in a workbook a cell is text by its type. The columns of the report, which only our
own files have, say that one apostrophe is to be taken off such cells again. So that this gives back
exactly what was there, a cell that has apostrophes before a formula's beginning by itself gets one
more.
"""

import re
from collections.abc import Collection, Iterable

REPORT_COLUMNS = ("__file", "__line", "__column", "__code", "__message", "__hint", "__row")
"""Say where a row came from and why it was rejected; ignored when the file returns."""
_FORMULA_STARTS = "=+\\-@\t\r\uff1d\uff0b\uff0d\uff20"
_QUOTED = re.compile(f"'+[{_FORMULA_STARTS}]")
_NEEDS_QUOTE_IN_CSV = re.compile(f"'*[{_FORMULA_STARTS}]")


def is_returned(names: Iterable[str]) -> bool:
    """A table with these column names was given out by the platform."""
    return any(name.strip() in REPORT_COLUMNS for name in names)


def is_report_line(names: Collection[str]) -> bool:
    """An object with these keys stands before a rejected row of a JSON Lines file, and is none."""
    return "__code" in names and all(name in REPORT_COLUMNS for name in names)


def csv_cell(text: str) -> str:
    """`text` as it stands in a CSV file that is given out; `original_cell` is its inverse."""
    return f"'{text}" if _NEEDS_QUOTE_IN_CSV.match(text) else text


def workbook_cell(text: str) -> str:
    """`text` as it stands in a workbook with report columns; `original_cell` is its inverse."""
    return f"'{text}" if _QUOTED.match(text) else text


def original_cell(text: str) -> str:
    """What a cell of a returned table was before it was given out."""
    return text[1:] if _QUOTED.match(text) else text
