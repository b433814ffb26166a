"""How many values a JSON text holds, found before it is parsed.

Parsed, a value of two bytes takes sixty: a row of 16 MiB would take a gigabyte.
"""

import re

from pipeline.data.row_fields import InvalidRowError

MAX_VALUES = 100_000
"""Of one row, at all levels; no row of texts has as many."""
SMALL_CHARS = 1 << 18
"""No text as short as this can take much memory."""
_TOKENS = re.compile(r'"[^"]*"?|[\[{,]')


def check_num_values(text: str) -> None:
    """The text has at most `MAX_VALUES`.

    Raises:
        InvalidRowError: `json.too_many_values`.
    """
    if has_too_many_values(text):
        raise InvalidRowError("json.too_many_values", value=text[:200], limit=MAX_VALUES)


def has_too_many_values(text: str) -> bool:
    """Whether the text has more than `MAX_VALUES`; what stands in strings does not count.

    Takes time in proportion to the text, whatever it is.
    """
    if len(text) <= SMALL_CHARS:
        return False
    if text.count(",") + text.count("[") + text.count("{") <= MAX_VALUES:
        return False
    # Without escapes a string ends at the next quote.
    plain = text.replace("\\\\", "").replace('\\"', "")
    num_values = num_strings = 0
    for token in _TOKENS.finditer(plain):
        if plain[token.start()] == '"':
            num_strings += 1
        else:
            num_values += 1
        # Of an object's values each brings a string for its key.
        if num_values > MAX_VALUES or num_strings > 2 * MAX_VALUES + 1:
            return True
    return False
