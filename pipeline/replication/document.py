"""`docs/results.md`, made from the committed summary: what was measured, and what was not run."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.contracts.claims import SOURCE
from pipeline.contracts.references import Reference
from pipeline.demo.data_files import DemonstrationData
from pipeline.metrics.decisions import family_level
from pipeline.replication.arms import Setting
from pipeline.replication.parts import PARTS, Part
from pipeline.replication.plan import build_plan, expected_seconds
from pipeline.replication.results import PartResults, ReplicationSummary
from pipeline.replication.tables import (
    arm_title,
    checkpoint_table,
    claims_table,
    contrast_table,
    decoding_table,
    dose_table,
    minutes_table,
    rates_table,
)
from pipeline.replication.words import dose_advice, judged_doses

DATA_DIR = Path(__file__).resolve().parents[2] / "examples/soae_demo"
_HEAD = f"""\
# Results

The paper's claims ({SOURCE}) measured on the demonstration data by
`make replicate`. This page is written by `make docs` from
[replication_summary.json](replication_summary.json), and a test notices when it is stale. What has
not been run says so.

The paper publishes neither the definitions of its measures nor its data, and a model of 135 million
parameters that sees some thousand tokens is not its model: a figure here stands beside the paper's,
and confirms or refutes nothing. [metrics.md](metrics.md) defines every measure.

- **Interval**: over questions, with the training seeds as they are. A question, or all questions on
  one document, is one unit, with its answers of all seeds. Three seeds are too few for an interval
  over seeds: each is shown, the difference is taken within a seed, and the least and the largest
  stand beside the mean.
- **Word**: *better*, *worse*, *equivalent within the margin* or *not decided*
  ([metrics.md](metrics.md#words-for-a-difference)). All measures and contrasts of one part are
  judged together; the interval beside the word is the simultaneous one that it rests on. Where
  nothing is decided stands how many questions would show the difference, were it to stay.
- **Verdict**: PASS, FAIL or INCONCLUSIVE on retention: KL(base || model) on text that the base
  wrote, against a margin fixed before the run.
"""


def as_document(summary: ReplicationSummary) -> str:
    """The page.

    Figures come from the summary alone; what a part would take, from its plan.
    """
    english, chinese = (
        [
            summary.parts[part.key]
            for part in PARTS
            if part.lang == lang and part.key in summary.parts
        ]
        for lang in ("en", "zh")
    )
    lines = [_HEAD, "## The paper's claims", ""]
    lines += claims_table(english, with_more=True)
    for part in PARTS:
        lines += ["", f"## {part.title}", ""]
        results = summary.parts.get(part.key)
        lines += _not_run(part) if results is None else _SECTIONS[part.key](results)
    if summary.parts:
        lines += ["", "## Minutes by step", "", *minutes_table([*english, *chinese])]
    return "\n".join(lines) + "\n"


def _found(summary: ReplicationSummary, lang: str) -> list[PartResults]:
    keys = [part.key for part in PARTS if part.lang == lang]
    return [summary.parts[key] for key in keys if key in summary.parts]


def expected_minutes(part: Part) -> float:
    """What the part takes by itself on the machine that the steps' times were measured on."""
    setting = Setting(data=DemonstrationData(DATA_DIR, part.lang), base=Reference(path="base"))
    return expected_seconds(build_plan([part], setting).steps) / 60


def _not_run(part: Part) -> list[str]:
    base = " CHINESE_BASE=..." if part.lang == "zh" else ""
    then = (
        " Arms that choose another rate than they had are then trained again."
        if part.key == "learning_rate"
        else ""
    )
    return [
        f"Not run yet: `make replicate ONLY={part.key}{base}`, about {expected_minutes(part):.0f} "
        f"minutes by itself, less what other parts have done.{then}"
    ]


def _dose(results: PartResults) -> list[str]:
    return [
        "Continual pre-training on as many tokens in each; replay takes the place of domain text.",
        "",
        *dose_table(results),
        "",
        f"**Advice.** {dose_advice(judged_doses(results))}",
        "Found with one training seed: another may say otherwise.",
        *_contrasts(results),
        *_checkpoints(results),
    ]


def _sft(results: PartResults) -> list[str]:
    return [
        "Each arm starts from the continual pre-training with 20% replay and has the same tokens, "
        "learning rate and schedule.",
        *_contrasts(results),
        *_checkpoints(results),
    ]


def _from_base(results: PartResults) -> list[str]:
    return [
        "The other reading of what continual pre-training is worth: the same fine-tuning with and "
        "without it.",
        *_contrasts(results),
        *_checkpoints(results),
    ]


def _rates(results: PartResults) -> list[str]:
    return [
        "Each arm chose its learning rate on expert questions of documents kept out of these "
        "fine-tunings, one seed each; the test questions had no part in it.",
        "",
        *rates_table(results),
        *_contrasts(results),
        *_checkpoints(results),
    ]


def _decoding(results: PartResults) -> list[str]:
    return [*decoding_table(results), *_measured(results)]


def _chinese(results: PartResults) -> list[str]:
    return [
        "The same data in Chinese, one training seed.",
        "",
        *claims_table([results], with_more=False),
        *_contrasts(results),
        *_checkpoints(results),
    ]


_SECTIONS: Mapping[str, Callable[[PartResults], list[str]]] = {
    "dose": _dose,
    "sft": _sft,
    "sft_from_base": _from_base,
    "learning_rate": _rates,
    "decoding": _decoding,
    "chinese": _chinese,
}


def _contrasts(results: PartResults) -> list[str]:
    lines: list[str] = []
    for contrast in results.contrasts:
        baseline, candidate = arm_title(contrast.baseline), arm_title(contrast.candidate)
        lines += ["", f"### {candidate} minus {baseline}", "", *contrast_table(contrast)]
    level = family_level(max(results.num_judged, 1))
    return [
        *lines,
        "",
        f"Judged together: {results.num_judged} differences, each simultaneous interval at "
        f"{level:.2%}.",
    ]


def _checkpoints(results: PartResults) -> list[str]:
    return ["", "### Each checkpoint", "", *checkpoint_table(results), *_measured(results)]


def _measured(results: PartResults) -> list[str]:
    versions = " and ".join(version[:12] for version in results.code_versions)
    environment = results.environment
    return [
        "",
        f"{results.base}, finished {results.finished_at[:10]} at {versions}; "
        f"{environment.processor}, threads: {environment.num_threads}.",
    ]
