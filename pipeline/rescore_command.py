"""`python -m pipeline rescore`: stored answers under another profile, as a table or JSON."""

import json
from pathlib import Path

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.rescoring import ProfileName, RescoredAnswers, RescoredGroup
from pipeline.durable import write_bytes
from pipeline.evaluation.rescoring import RescoredAnswer, rescored_answers, rescored_figures
from pipeline.metrics.profiles import profiles


def rescore(
    samples: Path, profile_name: ProfileName, *, answers_file: Path | None, as_json: bool
) -> str:
    """What the command prints; with `answers_file` each answer stands there, one JSON a line.

    Raises:
        DataError: of `rescored_answers`.
    """
    profile = profiles()[profile_name]
    answers = rescored_answers(samples, profile)
    found = rescored_figures(answers, profile)
    if answers_file is not None:
        lines = (json.dumps(_document(answer), ensure_ascii=False) for answer in answers)
        write_bytes(answers_file, "".join(f"{line}\n" for line in lines).encode())
    return found.model_dump_json(indent=2) if as_json else _table(found)


def _document(answer: RescoredAnswer) -> dict[str, object]:
    return {
        "item_id": answer.item_id,
        "lang": answer.lang,
        **answer.scores,
        "flags": sorted(answer.flags),
    }


def _table(found: RescoredAnswers) -> str:
    groups = {"all": found.all, **{lang or "?": group for lang, group in found.languages.items()}}
    rows = [
        ["", *groups],
        ["answers", *(str(group.n) for group in groups.values())],
        *(
            [key, *(_interval(group.figures[key]) for group in groups.values())]
            for key in found.all.figures
        ),
        *([flag, *(_share(group, flag) for group in groups.values())] for flag in found.all.flags),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join([f"{found.profile}: {found.signature}", *lines])


def _interval(figure: Estimate) -> str:
    if figure.interval is None:
        return f"{figure.value:.2f}"
    low, high, level = figure.interval
    return f"{figure.value:.2f} [{low:.2f}, {high:.2f}] {level:.0%}"


def _share(group: RescoredGroup, flag: str) -> str:
    return f"{group.flags[flag]} ({group.flags[flag] / group.n:.0%})"
