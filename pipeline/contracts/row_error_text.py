"""The words of one code of row errors."""

from typing import NamedTuple


class RowErrorText(NamedTuple):
    """`str.format` templates over the error's params."""

    message: str
    hint: str
