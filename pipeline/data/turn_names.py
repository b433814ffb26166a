"""Turns of a conversation whose keys and words for who speaks are a file's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnNames:
    """How the turns of a row are written."""

    role_key: str
    content_key: str
    roles: Mapping[str, str]
    """The file's word for who speaks -> ShareGPT's."""

    def renamed(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with turns as ShareGPT writes them; what is no turn stays as it is."""
        turns = row.get("conversations")
        if not isinstance(turns, list):
            return row
        return {**row, "conversations": [self._turn(turn) for turn in turns]}

    def _turn(self, turn: object) -> object:
        if not isinstance(turn, dict) or self.role_key not in turn or self.content_key not in turn:
            return turn
        role = turn[self.role_key]
        rest = {
            key: value
            for key, value in turn.items()
            if key not in {self.role_key, self.content_key}
        }
        known = self.roles.get(role, role) if isinstance(role, str) else role
        return {"from": known, "value": turn[self.content_key], **rest}
