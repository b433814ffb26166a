"""Rows of layouts that nothing here trains on: preferences, tool calls, pictures and sound.

Some of their rows look like any other, so that leaving out the rest would keep a biased part of
them, or teach the worse of two answers. Therefore such rows end an import as a whole.
"""

import itertools
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from pipeline.contracts.row_errors import RowError

UntrainedLayout = Literal["preference", "tools", "media"]

NUM_FIRST_LINES = 5
MAX_NAMES = 500
"""Of a row's first fields, which are remembered; no such layout has more."""
_BETTER = re.compile(
    r"chosen|preferred|accepted|\u4f18\u9009|\u91c7\u7eb3|\u9009\u4e2d|\u504f\u597d", re.IGNORECASE
)
_WORSE = re.compile(
    r"rejected|dispreferred|non_?preferred|\u62d2\u7edd|\u52a3\u9009|\u843d\u9009", re.IGNORECASE
)
_COMPARED = (
    {"response_0", "response_1"},
    {"response_a", "response_b"},
    {"response_j", "response_k"},
)
_EXCHANGES = frozenset({"messages", "conversations", "instruction", "output"})
_LABELLED_ONLY = frozenset({"id", "instruction", "input", "output", "label", "meta"})
_TOOL_ROLES = frozenset(
    {"tool", "tool_call", "tool_calls", "tool_response", "tool_result"}
    | {"function", "function_call", "function_response", "observation", "ipython"}
)
_TOOL_PARTS = re.compile(r"tool|function")
_MEDIA_PARTS = re.compile(r"image|audio|video|file")
_MEDIA_FIELDS = ("images", "image", "videos", "video", "audios", "audio")
_MARKS = frozenset({"label", "kto_tag", "tools", "functions", *_MEDIA_FIELDS})
_MEDIA_MARKS = ("<image>", "<video>", "<audio>")


class UntrainedRows:
    """Counts the rows of such layouts in one file."""

    def __init__(self) -> None:
        self._lines: dict[UntrainedLayout, list[int]] = {}
        self._counts: dict[UntrainedLayout, int] = {}
        self._marks: dict[int, int] = {}
        """Lines of rows whose only other field is a label that is a number: first line by label."""
        self._num_marked = 0

    def take(self, row: Mapping[str, Any], line: int) -> bool:
        """Whether the row is of such a layout; it is counted."""
        layout = untrained_layout(row)
        if layout is None:
            label = row.get("label")
            if isinstance(label, int) and row.keys() <= _LABELLED_ONLY:
                self._marks.setdefault(label, line)
                self._num_marked += 1
            return False
        self._count(layout, line)
        return True

    def errors(self) -> list[RowError]:
        """One error for each such layout that the file holds, to be told at its end."""
        if set(self._marks) == {0, 1}:  # better and worse; other numbers are topics
            lines = sorted(self._marks.values())
            self._counts["preference"] = self._counts.get("preference", 0) + self._num_marked
            self._lines["preference"] = sorted(self._lines.get("preference", []) + lines)
        return [
            RowError(
                code=f"file.layout_{layout}",
                line=lines[0],
                params={
                    "count": self._counts[layout],
                    "lines": ", ".join(map(str, lines[:NUM_FIRST_LINES])),
                },
            )
            for layout, lines in self._lines.items()
        ]

    def _count(self, layout: UntrainedLayout, line: int) -> None:
        self._counts[layout] = self._counts.get(layout, 0) + 1
        lines = self._lines.setdefault(layout, [])
        if len(lines) < NUM_FIRST_LINES:
            lines.append(line)


def untrained_layout(row: Mapping[str, Any]) -> UntrainedLayout | None:
    """Which of these layouts a row of conversations or questions has; None for any other."""
    names = tuple(itertools.islice(row, MAX_NAMES))
    if compares_answers(names):
        return "preference"
    output = row.get("output")
    if isinstance(output, list) and len(output) > 1 and all(isinstance(t, str) for t in output):
        return "preference"
    found = _layout_of_fields(row) if _has_marks(names) else None
    if found is not None:
        return found
    turns = row.get("messages") or row.get("conversations")
    if not isinstance(turns, list):
        return None
    return next(filter(None, map(_layout_of_turn, turns)), None)


def _layout_of_fields(row: Mapping[str, Any]) -> UntrainedLayout | None:
    if _is_labelled(row):
        return "preference"
    if _are_tools(row.get("tools")) or _are_tools(row.get("functions")):
        return "tools"
    media = [row[name] for name in _MEDIA_FIELDS if row.get(name)]
    is_shown = any(isinstance(value, list) for value in media)
    if is_shown or (media and any(mark in str(row) for mark in _MEDIA_MARKS)):
        return "media"
    return None


@lru_cache(maxsize=256)
def _has_marks(names: tuple[str, ...]) -> bool:
    """A field has a name that such layouts give theirs."""
    return not _MARKS.isdisjoint(names)


@lru_cache(maxsize=256)
def compares_answers(names: tuple[str, ...]) -> bool:
    """The fields hold a better and a worse answer."""
    worse = {name for name in names if _WORSE.search(name)}
    better = {name for name in names if name not in worse and _BETTER.search(name)}
    lower = {name.casefold() for name in names}
    return bool(worse and better) or any(pair <= lower for pair in _COMPARED)


def _is_labelled(row: Mapping[str, Any]) -> bool:
    """The row says of its answer whether it is wanted (KTO)."""
    if row.get("kto_tag") not in (None, ""):
        return True
    label = row.get("label")
    if isinstance(label, str):
        return label.strip().casefold() in {"true", "false"} and not _EXCHANGES.isdisjoint(row)
    return isinstance(label, bool) and not _EXCHANGES.isdisjoint(row)


def _are_tools(value: object) -> bool:
    if isinstance(value, str):
        text = value.strip()
        return text.startswith(("[", "{")) and text not in {"[]", "{}", "[{}]"}
    return isinstance(value, list | dict) and bool(value)


def _layout_of_turn(turn: object) -> UntrainedLayout | None:
    if not isinstance(turn, dict):
        return None
    role = turn.get("role", turn.get("from"))
    if (
        (isinstance(role, str) and role in _TOOL_ROLES)
        or turn.get("tool_calls")
        or turn.get("function_call")
    ):
        return "tools"
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list):
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and _TOOL_PARTS.search(kind):
                return "tools"
            if isinstance(kind, str) and _MEDIA_PARTS.search(kind):
                return "media"
    return None
