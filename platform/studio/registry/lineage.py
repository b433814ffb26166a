"""Which checkpoint came from which, laid out for a drawing from left to right."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from studio.registry.models import Checkpoint, CheckpointParent

NODE_WIDTH, NODE_HEIGHT = 208, 60
GAP_X, GAP_Y = 72, 20
MARGIN = 8
MAX_LABEL_UNITS = 21
"""Width of a name in the drawing; a Chinese character takes two units."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A checkpoint at its place; the corner is the upper left one."""

    checkpoint: Checkpoint
    label: str
    x: int
    y: int
    is_current: bool

    @property
    def text_x(self) -> int:
        return self.x + 12

    @property
    def name_y(self) -> int:
        return self.y + 25

    @property
    def kind_y(self) -> int:
        return self.y + 45


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """An arrow from parent to child."""

    parent: Checkpoint
    child: Checkpoint
    role: str
    path: str
    """Data of the SVG path."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """The drawing and what stands in the table beside it."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    width: int
    height: int


def draw_lineage(
    checkpoints: Iterable[Checkpoint],
    links: Iterable[CheckpointParent],
    *,
    current: Checkpoint | None = None,
) -> Lineage:
    """Every checkpoint one column to the right of its last parent.

    Args:
        checkpoints: The nodes; links to others are left out.
        links: Which came from which; without cycles, because a parent is older than its child.
        current: Drawn with emphasis.
    """
    by_id = {checkpoint.pk: checkpoint for checkpoint in checkpoints}
    kept = [link for link in links if link.parent_id in by_id and link.child_id in by_id]
    parents: dict[int, list[int]] = {pk: [] for pk in by_id}
    for link in kept:
        parents[link.child_id].append(link.parent_id)
    columns = _columns(parents)
    places: dict[int, tuple[int, int]] = {}
    height = 0
    for number in range(max(columns.values(), default=-1) + 1):
        members = [pk for pk, column in columns.items() if column == number]
        # Near the parents, so that few arrows cross; then by age.
        members.sort(
            key=lambda pk: (
                sum(places[parent][1] for parent in parents[pk]) / max(len(parents[pk]), 1),
                pk,
            )
        )
        for row, pk in enumerate(members):
            x = MARGIN + number * (NODE_WIDTH + GAP_X)
            places[pk] = (x, MARGIN + row * (NODE_HEIGHT + GAP_Y))
        height = max(height, len(members))
    return Lineage(
        nodes=[
            Node(
                checkpoint=checkpoint,
                label=shortened(checkpoint.name),
                x=places[pk][0],
                y=places[pk][1],
                is_current=current is not None and pk == current.pk,
            )
            for pk, checkpoint in by_id.items()
        ],
        edges=[
            Edge(
                parent=by_id[link.parent_id],
                child=by_id[link.child_id],
                role=link.role,
                path=_curve(places[link.parent_id], places[link.child_id]),
            )
            for link in kept
        ],
        width=2 * MARGIN + max((x for x, _y in places.values()), default=0) + NODE_WIDTH,
        height=2 * MARGIN + height * (NODE_HEIGHT + GAP_Y) - GAP_Y if height else 0,
    )


def relatives(checkpoint_id: int, links: Collection[CheckpointParent]) -> set[int]:
    """Ids of the checkpoint, of all it came from, and of all that came from it."""
    up: dict[int, list[int]] = {}
    down: dict[int, list[int]] = {}
    for link in links:
        up.setdefault(link.child_id, []).append(link.parent_id)
        down.setdefault(link.parent_id, []).append(link.child_id)
    return _reachable(checkpoint_id, up) | _reachable(checkpoint_id, down)


def shortened(name: str) -> str:
    """`name`, cut to what fits into a node."""
    units = 0
    for position, character in enumerate(name):
        units += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if units > MAX_LABEL_UNITS:
            return f"{name[: position - 1]}..."
    return name


def _reachable(start: int, neighbours: dict[int, list[int]]) -> set[int]:
    seen = {start}
    pending = [start]
    while pending:
        for other in neighbours.get(pending.pop(), ()):
            if other not in seen:
                seen.add(other)
                pending.append(other)
    return seen


def _columns(parents: dict[int, list[int]]) -> dict[int, int]:
    """Length of the longest way from a checkpoint without parents."""
    columns: dict[int, int] = {}
    # A parent is registered before its child, so ids are in an order that respects the links.
    for pk in sorted(parents):
        columns[pk] = 1 + max((columns[parent] for parent in parents[pk]), default=-1)
    return columns


def _curve(parent: tuple[int, int], child: tuple[int, int]) -> str:
    x0, y0 = parent[0] + NODE_WIDTH, parent[1] + NODE_HEIGHT // 2
    x1, y1 = child[0] - 3, child[1] + NODE_HEIGHT // 2
    middle = (x0 + x1) // 2
    return f"M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}"
