"""Which characters a text that somebody sent may hold."""

import re

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def control_character(text: str) -> str:
    """The first character that controls a terminal or ends a string, as `U+0000`; "" without one.

    Those are the control characters except tab and line ends, and halves of surrogate pairs. They
    have no look, PostgreSQL refuses some of them and terminals obey others. Directions of writing
    (bidi) are left: Arabic and Hebrew need them, and pages isolate what people wrote.
    """
    found = _CONTROLS.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""
