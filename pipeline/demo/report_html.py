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
from pipeline.contracts.speedup_words import VERDICTS as PAYS
from pipeline.contracts.speedup_words import change_words, measured_verdict
from pipeline.demo.chart_style import COLORS, styled
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
from pipeline.demo.decoding_charts import acceptance_chart, speedup_chart
from pipeline.demo.summary import Summary
from pipeline.terminal import duration

TEMPLATE = Path(__file__).with_name("report.html.jinja")
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
        pays=lambda arm: PAYS[measured_verdict(arm.speedup)],
        changes=_changes,
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


def _changes(arm: ArmResults) -> Words | None:
    """What the prediction hangs on; None where it pays or there is none."""
    if arm.prediction is None:
        return None
    return change_words(arm.prediction, arm.costs.c if arm.costs else 0.0)


def _charts(summary: Summary, lang: str) -> dict[str, str]:
    figures = {
        "overlap": _overlap_chart(summary, lang),
        "speedup": speedup_chart(_arms(summary).values(), lang),
        "acceptance": acceptance_chart(_arms(summary).values(), lang),
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
    return styled(figure, Words(en="points (0-100)", zh="分（0–100）").in_language(lang))


def _plotly_js() -> str:
    # plotly's own bundle; </script> inside it would end our script element early.
    from plotly.offline import get_plotlyjs

    return get_plotlyjs().replace("</script", "<\\/script")
