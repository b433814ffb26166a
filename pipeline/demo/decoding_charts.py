"""The charts of decoding in the demonstration's report."""

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from pipeline.contracts.claims import Words
from pipeline.contracts.decoding_results import ArmResults
from pipeline.contracts.estimates import Estimate
from pipeline.demo.chart_style import COLORS, styled

Arms = Iterable[tuple[Words, ArmResults]]

MEASURED = Words(en="measured", zh="实测")
VARIED = Words(en="measured, answers without repetition", zh="实测（无重复的回答）")
PREDICTED = Words(en="predicted before timing", zh="计时前预测")
BOUND = Words(en="oracle bound", zh="理论上界")


def speedup_chart(arms: Arms, lang: str) -> go.Figure:
    """Measured, predicted and possible speedups with their intervals."""
    timed = [(words.in_language(lang), arm) for words, arm in arms if arm.speedup is not None]
    names = [name for name, _arm in timed]
    figure = go.Figure()
    series: list[tuple[Words, str, list[Estimate | float | None]]] = [
        (MEASURED, "circle", [arm.speedup for _name, arm in timed]),
        (VARIED, "square-open", [arm.speedup_without_repetitive_answers for _name, arm in timed]),
        (
            PREDICTED,
            "diamond-open",
            [arm.prediction.speedup if arm.prediction else arm.predicted_speedup
             for _name, arm in timed],
        ),
        (BOUND, "line-ew-open", [arm.oracle_bound for _name, arm in timed]),
    ]  # fmt: skip
    for number, ((words, symbol, values), color) in enumerate(zip(series, COLORS, strict=False)):
        # Beside each other, not on top of each other; the axis names the arms.
        places = [index + 0.12 * (number - 1.5) for index in range(len(names))]
        figure.add_scatter(
            name=words.in_language(lang),
            x=places,
            y=[one.value if isinstance(one, Estimate) else one for one in values],
            error_y=_bars(values),
            mode="markers",
            marker={"symbol": symbol, "size": 11, "color": color, "line": {"width": 2}},
        )
    figure.update_xaxes(tickvals=list(range(len(names))), ticktext=names)
    figure.add_hline(y=1.0, line_dash="dash", line_color="#888888")
    axis = Words(en="times plain decoding", zh="相对普通解码的倍数")
    return styled(figure, axis.in_language(lang))


def acceptance_chart(arms: Arms, lang: str) -> go.Figure:
    """Share of the rounds that accepted each drafted position."""
    figure = go.Figure()
    drafted = [(words, arm.acceptance_per_position) for words, arm in arms]
    for number, (words, shares) in enumerate(one for one in drafted if one[1]):
        figure.add_scatter(
            name=words.in_language(lang),
            x=[str(index + 1) for index in range(len(shares or ()))],
            y=shares,
            mode="lines+markers",
            line_color=COLORS[number % len(COLORS)],
            marker_symbol=number,
        )
    position = Words(en="position in the draft", zh="草稿中的位置").in_language(lang)
    figure.update_xaxes(title=position, type="category")
    figure = styled(figure, Words(en="acceptance rate", zh="接受率").in_language(lang))
    return figure.update_yaxes(range=[0, 1])


def _bars(values: Sequence[Estimate | float | None]) -> dict[str, object]:
    """None where there is no interval: of a single prompt, or of a figure without one."""
    bounds = [
        (one.value, *one.interval[:2]) if isinstance(one, Estimate) and one.interval else None
        for one in values
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if one is None else one[2] - one[0] for one in bounds],
        "arrayminus": [None if one is None else one[0] - one[1] for one in bounds],
        "visible": any(one is not None for one in bounds),
    }
