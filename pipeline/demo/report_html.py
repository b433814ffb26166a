"""One self-contained HTML page of the demonstration's results, in Chinese and English.

The page holds both languages and switches by CSS; it loads nothing from the network (plotly.js is
inside it), so it can be mailed into a closed network.
"""

from collections.abc import Mapping
from pathlib import Path

import jinja2
import plotly.graph_objects as go

from pipeline import durable
from pipeline.contracts.claims import SOURCE, Words
from pipeline.contracts.decoding_results import ArmResults
from pipeline.demo.claim_texts import (
    VERDICTS,
    count_words,
    detail_words,
    figure_words,
    format_interval,
    format_ratio,
    gauge_verdict_words,
    verdict_words,
)
from pipeline.demo.summary import Summary
from pipeline.terminal import duration

TEMPLATE = Path(__file__).with_name("report.html.jinja")
COLORS = ("#0054a6", "#d9822b", "#2e7d5b", "#7a4fa3", "#8a8a8a")
BASE = "evaluate_base"
NULLS = {
    "numerical": Words(en="numerical", zh="数值"),
    "prompt": Words(en="prompt", zh="提示"),
}
CHECKPOINTS = {
    BASE: Words(en="base", zh="基座"),
    "evaluate_cpt": Words(en="CPT", zh="持续预训练"),
    "evaluate_sft_single_stage": Words(en="single-stage SFT", zh="单阶段微调"),
    "evaluate_sft_progressive": Words(en="progressive SFT", zh="渐进式微调"),
}
ARMS = {
    "autoregressive": Words(en="autoregressive", zh="自回归"),
    "ngram": Words(en="n-gram lookup", zh="n-gram 查找"),
    "store": Words(en="lookup in stored answers", zh="在存储的答案中查找"),
    "combined": Words(en="lookup, else the draft", zh="先查找，否则用草稿"),
    "control_gold": Words(en="control: gold answers", zh="对照：标准答案"),
    "control_target_text": Words(en="control: target's text", zh="对照：目标模型文本"),
    "distilled": Words(en="distilled draft", zh="蒸馏草稿模型"),
}


def write_report(summary: Summary, path: Path) -> None:
    """The page for a demonstration's summary is at `path`."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        summary=summary,
        rows=[
            (row, verdict_words(row.claim, summary), detail_words(row.claim, summary))
            for row in summary.claims
        ],
        checkpoints={
            step_id: (words, summary.evaluation(step_id)) for step_id, words in CHECKPOINTS.items()
        },
        arms=_arms(summary),
        lossless=summary.benchmark.losslessness,
        charts={lang: _charts(summary, lang) for lang in ("zh", "en")},
        figure=figure_words,
        ratio=format_ratio,
        interval=format_interval,
        gauge_verdict=gauge_verdict_words,
        count=count_words,
        duration=duration,
        source=SOURCE,
        verdicts=VERDICTS,
        many_cut=[
            words
            for step_id, words in CHECKPOINTS.items()
            if (overlap := summary.evaluation(step_id).text_overlap) and overlap.has_many_cut
        ],
        nulls=[(null, NULLS[null.name]) for null in summary.evaluation(BASE).flip_nulls],
        plotly_js=_plotly_js(),
    )
    durable.write_bytes(path, page.encode())


def _arms(summary: Summary) -> Mapping[str, tuple[Words, ArmResults]]:
    return {
        name: (ARMS.get(name, Words(en=name, zh=name)), arm)
        for name, arm in summary.benchmark.arms.items()
    }


def _charts(summary: Summary, lang: str) -> dict[str, str]:
    figures = {
        "overlap": _overlap_chart(summary, lang),
        "speedup": _speedup_chart(summary, lang),
        "acceptance": _acceptance_chart(summary, lang),
    }
    return {
        name: figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            config={"displayModeBar": False, "responsive": True},
            default_height="340px",
        )
        for name, figure in figures.items()
    }


def _overlap_chart(summary: Summary, lang: str) -> go.Figure:
    measures = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "bleu4": "BLEU-4"}
    figure = go.Figure()
    for (step_id, words), color in zip(CHECKPOINTS.items(), COLORS, strict=False):
        overlap = summary.evaluation(step_id).text_overlap
        scores = {} if overlap is None else overlap.figures
        figure.add_bar(
            name=words.in_language(lang),
            x=list(measures.values()),
            y=[scores.get(key) for key in measures],
            marker_color=color,
        )
    return _styled(figure, Words(en="points (0-100)", zh="分（0–100）").in_language(lang))


def _speedup_chart(summary: Summary, lang: str) -> go.Figure:
    figure = go.Figure()
    measured = [
        (words.in_language(lang), arm, arm.speedup)
        for words, arm in _arms(summary).values()
        if arm.speedup is not None
    ]
    names = [name for name, _arm, _speedup in measured]
    # A single prompt has no interval: a bar without whiskers.
    bounds = [
        (speedup.value, *(speedup.interval or (speedup.value, speedup.value, None))[:2])
        for _name, _arm, speedup in measured
    ]
    figure.add_bar(
        name=Words(en="measured", zh="实测").in_language(lang),
        x=names,
        y=[value for value, _low, _high in bounds],
        marker_color=COLORS[0],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - value for value, _low, high in bounds],
            "arrayminus": [value - low for value, low, _high in bounds],
        },
    )
    figure.add_scatter(
        name=Words(en="predicted by the cost model", zh="成本模型预测").in_language(lang),
        x=names,
        y=[
            arm.prediction.speedup.value if arm.prediction else arm.predicted_speedup
            for _name, arm, _speedup in measured
        ],
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": COLORS[1]},
    )
    figure.add_hline(y=1.0, line_dash="dash", line_color="#888888")
    return _styled(
        figure, Words(en="times autoregressive", zh="相对自回归的倍数").in_language(lang)
    )


def _acceptance_chart(summary: Summary, lang: str) -> go.Figure:
    figure = go.Figure()
    for (words, arm), color in zip(_arms(summary).values(), COLORS, strict=False):
        if arm.acceptance_per_position:
            figure.add_scatter(
                name=words.in_language(lang),
                x=[str(index + 1) for index in range(len(arm.acceptance_per_position))],
                y=arm.acceptance_per_position,
                mode="lines+markers",
                line_color=color,
            )
    position = Words(en="position in the draft", zh="草稿中的位置").in_language(lang)
    figure.update_xaxes(title=position, type="category")
    figure = _styled(figure, Words(en="acceptance rate", zh="接受率").in_language(lang))
    return figure.update_yaxes(range=[0, 1])


def _styled(figure: go.Figure, axis: str) -> go.Figure:
    return figure.update_layout(
        template="plotly_white",
        barmode="group",
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "y": 1.12},
        yaxis_title=axis,
        font={"family": "system-ui, 'Noto Sans CJK SC', sans-serif", "size": 13},
    )


def _plotly_js() -> str:
    # plotly's own bundle; </script> inside it would end our script element early.
    from plotly.offline import get_plotlyjs

    return get_plotlyjs().replace("</script", "<\\/script")
