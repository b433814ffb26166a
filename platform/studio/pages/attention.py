"""What waits for whom: the rows at the top of the home page.

An app adds its rows by a function in its `attention.py` and a line in `SOURCES` of `views.py`.
Each row links to the list that its number counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from studio.accounts.models import Project, Role, User

RECENT = timedelta(days=7)
"""How long something that went wrong waits for people on the home page."""
Tone = Literal["neutral", "good", "attention", "bad"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionRow:
    """`count` things, described by `label`, wait at `url` for people who act as `roles`."""

    label: str
    count: int
    url: str
    tone: Tone = "neutral"


# Rows for one person; a source leaves out what the role has nothing to do with.
AttentionSource = Callable[[Project, User, Role], list[AttentionRow]]
