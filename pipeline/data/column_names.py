"""Names of columns as people write them, brought to a form in which equal ones are equal."""

import re
import unicodedata

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_MARKS = re.compile(
    r"[*]|[(\[\u3010](?:\u5fc5\u586b|\u5fc5\u9009|\u9009\u586b|\u53ef\u9009|\u975e\u5fc5\u586b"
    r"|\u5fc5\u586b\u9879|\u9009\u586b\u9879|required|optional)[)\]\u3011]|[:]$",
    re.IGNORECASE,
)
"""What forms put to a name: that a column must or may be filled in."""


def shown_name(header: str) -> str:
    """The name as it is shown and kept: without invisible characters and outer space."""
    return _INVISIBLE.sub("", header).strip()


def compared_name(header: str) -> str:
    """The name as it is compared: Unicode form, letter case, space and marks do not count."""
    name = unicodedata.normalize("NFKC", shown_name(header))
    name = _MARKS.sub("", "".join(name.split()))
    return name.lower() or "".join(shown_name(header).split()).lower()
