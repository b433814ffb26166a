"""A chart and the table that says the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """What `_chart.html` shows. The view needs the `charts_page` decorator.

    Args:
        key: Unique in the page; lower-case letters, digits and hyphens.
        title: Says what is shown, and of what.
        figure: Plotly's {"data": [...], "layout": {...}} with finite numbers or None; colours and
            fonts come from the theme.
        columns: Headings of the table.
        rows: Its cells, as they should be read.
        note: How to read it: definition, number of items, what the interval means.
        empty: Why there is nothing to show, when there are no rows.
    """

    key: str
    title: str
    figure: Mapping[str, object]
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""
    empty: str = ""
    size: Literal["normal", "tall"] = "normal"

    @property
    def figure_id(self) -> str:
        return f"{self.key}-figure"
