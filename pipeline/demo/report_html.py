"""One self-contained HTML page of the demonstration's results, in Chinese and English.

The page holds both languages and switches by CSS; it loads nothing from the network (plotly.js is
inside it), so it can be mailed into a closed network.
"""

from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go

from pipeline.demo.summary import PUBLISHED_SOURCE, VERDICTS, format_interval, format_ratio
from pipeline.terminal import duration

TEMPLATE = Path(__file__).with_name("report.html.jinja")
COLORS = ("#0054a6", "#d9822b", "#2e7d5b", "#7a4fa3", "#8a8a8a")
CHECKPOINTS = {
    "evaluate_base": ("基座", "base"),
    "evaluate_cpt": ("继续预训练", "CPT"),
    "evaluate_sft_single_stage": ("单阶段微调", "single-stage SFT"),
    "evaluate_sft_progressive": ("渐进式微调", "progressive SFT"),
}
ARMS = {
    "autoregressive": ("自回归", "autoregressive"),
    "ngram": ("n-gram 查找", "n-gram lookup"),
    "control_gold": ("对照：标准答案", "control: gold answers"),
    "control_target_text": ("对照：目标模型文本", "control: target's text"),
    "distilled": ("蒸馏草稿模型", "distilled draft"),
}
TITLES = {
    "general_ability_retention": ("继续预训练后通用能力保持", "General ability kept by CPT"),
    "cpt_rouge1": ("继续预训练 / 基座，ROUGE-1", "CPT over base, ROUGE-1"),
    "cpt_bleu4": ("继续预训练 / 基座，BLEU-4", "CPT over base, BLEU-4"),
    "sft_rouge1": ("渐进式 / 单阶段微调，ROUGE-1", "Progressive over single-stage, ROUGE-1"),
    "sft_bleu4": ("渐进式 / 单阶段微调，BLEU-4", "Progressive over single-stage, BLEU-4"),
    "decoding_speedup": ("投机解码加速（蒸馏草稿）", "Speculative decoding, distilled draft"),
}


def write_report(summary: dict[str, Any], path: Path) -> None:
    """The page for a demonstration's `summary.json` is at `path`."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        summary=summary,
        rows=summary["rows"],
        titles=TITLES,
        checkpoints=CHECKPOINTS,
        arms=_arms(summary),
        reports=summary["reports"],
        charts={lang: _charts(summary, lang) for lang in ("zh", "en")},
        ratio=format_ratio,
        interval=format_interval,
        duration=duration,
        source=PUBLISHED_SOURCE,
        verdicts=VERDICTS,
        plotly_js=_plotly_js(),
    )
    partial = path.with_suffix(".partial")
    partial.write_text(page, encoding="utf-8")
    partial.rename(path)


def _arms(summary: dict[str, Any]) -> dict[str, tuple[tuple[str, str], dict[str, Any]]]:
    measured = summary["reports"]["speculative_decode"]["arms"]
    return {name: (ARMS.get(name, (name, name)), measured[name]) for name in measured}


def _charts(summary: dict[str, Any], lang: str) -> dict[str, str]:
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


def _overlap_chart(summary: dict[str, Any], lang: str) -> go.Figure:
    metrics = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "bleu4": "BLEU-4"}
    figure = go.Figure()
    for (step_id, names), color in zip(CHECKPOINTS.items(), COLORS, strict=False):
        scores = summary["reports"][step_id]["text_overlap"]
        figure.add_bar(
            name=_in(lang, names),
            x=list(metrics.values()),
            y=[scores[metric] for metric in metrics],
            marker_color=color,
        )
    return _styled(figure, _in(lang, ("分（0–100）", "points (0-100)")))


def _speedup_chart(summary: dict[str, Any], lang: str) -> go.Figure:
    figure = go.Figure()
    arms = _arms(summary)
    measured = {name: arm for name, (_, arm) in arms.items() if arm["speedup"] is not None}
    names = [_in(lang, arms[name][0]) for name in measured]
    values = [arm["speedup"]["value"] for arm in measured.values()]
    figure.add_bar(
        name=_in(lang, ("实测", "measured")),
        x=names,
        y=values,
        marker_color=COLORS[0],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [
                arm["speedup"]["high"] - arm["speedup"]["value"] for arm in measured.values()
            ],
            "arrayminus": [
                arm["speedup"]["value"] - arm["speedup"]["low"] for arm in measured.values()
            ],
        },
    )
    predicted = [arm.get("predicted_speedup") for arm in measured.values()]
    figure.add_scatter(
        name=_in(lang, ("成本模型预测", "predicted by the cost model")),
        x=names,
        y=predicted,
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": COLORS[1]},
    )
    figure.add_hline(y=1.0, line_dash="dash", line_color="#888888")
    return _styled(figure, _in(lang, ("相对自回归的倍数", "times autoregressive")))


def _acceptance_chart(summary: dict[str, Any], lang: str) -> go.Figure:
    figure = go.Figure()
    for (_, (names, arm)), color in zip(_arms(summary).items(), COLORS, strict=False):
        positions = arm.get("acceptance_per_position")
        if positions:
            figure.add_scatter(
                name=_in(lang, names),
                x=[str(index + 1) for index in range(len(positions))],
                y=positions,
                mode="lines+markers",
                line_color=color,
            )
    figure.update_xaxes(title=_in(lang, ("草稿中的位置", "position in the draft")), type="category")
    figure = _styled(figure, _in(lang, ("接受率", "acceptance rate")))
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


def _in(lang: str, names: tuple[str, str]) -> str:
    return names[0] if lang == "zh" else names[1]


def _plotly_js() -> str:
    # plotly's own bundle; </script> inside it would end our script element early.
    from plotly.offline import get_plotlyjs

    return get_plotlyjs().replace("</script", "<\\/script")
