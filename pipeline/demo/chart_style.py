"""How the charts of the demonstration's report look."""

import plotly.graph_objects as go

COLORS = ("#0054a6", "#d9822b", "#2e7d5b", "#7a4fa3", "#8a8a8a")


def styled(figure: go.Figure, axis: str) -> go.Figure:
    """The figure with its vertical axis named."""
    return figure.update_layout(
        template="plotly_white",
        barmode="group",
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "y": 1.12},
        yaxis_title=axis,
        font={"family": "system-ui, 'Noto Sans CJK SC', sans-serif", "size": 13},
    )
