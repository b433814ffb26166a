"""Stored answers under another profile: figures, by language too, and flags of each answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.rescoring import RescoredAnswers, RescoredGroup
from pipeline.contracts.samples import Score
from pipeline.errors import DataError
from pipeline.metrics.answer_flags import AnswerFlag, answer_flags
from pipeline.metrics.paired import summarize_items
from pipeline.metrics.profiles import Profile

_NEEDED = ("item_id", "reference", "answer")
_USED = (*_NEEDED, "lang", "cluster", "input", "cut_at_cap")


@dataclass(frozen=True, kw_only=True, slots=True)
class RescoredAnswer:
    """One answer under a profile."""

    item_id: str
    lang: str
    cluster: str
    scores: Mapping[str, Score]
    """By column of the profile's measures."""
    flags: frozenset[AnswerFlag]


def rescored_answers(path: Path, profile: Profile) -> list[RescoredAnswer]:
    """The answers to domain questions of a `samples.parquet`, in file order.

    A file older than a column lacks it: then there is no language, cluster, question or cut.

    Raises:
        DataError: `data.not_found`, `data.format_unsupported`: there is no such file, or it holds
            no samples; `data.empty`: it has no answer to a domain question; of the profile.
    """
    rows = _rows(path)
    if not rows:
        raise DataError("data.empty", f"{path} has no answer to a domain question")
    scores = profile.score(
        [str(row["answer"] or "") for row in rows], [str(row["reference"] or "") for row in rows]
    )
    return [
        RescoredAnswer(
            item_id=str(row["item_id"]),
            lang=str(row.get("lang") or ""),
            cluster=str(row.get("cluster") or f"item:{row['item_id']}"),
            scores={measure.column: score[measure.column] for measure in profile.measures},
            flags=answer_flags(
                str(row["answer"] or ""),
                str(row["reference"] or ""),
                question=str(row.get("input") or ""),
                is_cut=bool(row.get("cut_at_cap")),
            ),
        )
        for row, score in zip(rows, scores, strict=True)
    ]


def rescored_figures(answers: Sequence[RescoredAnswer], profile: Profile) -> RescoredAnswers:
    """The profile's figures with intervals, over all answers and over those of each language.

    Questions about one document are resampled together.

    Raises:
        DataError: `data.empty`, there is no answer.
    """
    languages = dict.fromkeys(sorted(answer.lang for answer in answers))
    return RescoredAnswers(
        profile=profile.name,
        signature=profile.signature,
        all=_group(answers, profile),
        languages={
            lang: _group([answer for answer in answers if answer.lang == lang], profile)
            for lang in languages
        },
    )


def _group(answers: Sequence[RescoredAnswer], profile: Profile) -> RescoredGroup:
    return RescoredGroup(
        n=len(answers),
        figures=summarize_items(
            profile.measures,
            {
                measure.column: np.array(
                    [answer.scores[measure.column] for answer in answers], dtype=np.float64
                )
                for measure in profile.measures
            },
            clusters=[answer.cluster for answer in answers],
        ),
        flags={flag.value: sum(flag in answer.flags for answer in answers) for flag in AnswerFlag},
    )


def _rows(path: Path) -> list[Mapping[str, object]]:
    try:
        names = pq.read_schema(path).names
        if not {"task", *_NEEDED} <= set(names):
            raise DataError(
                "data.format_unsupported",
                f"{path} holds no samples of an evaluation; give its samples.parquet",
            )
        columns = [name for name in _USED if name in names]
        table = pq.read_table(path, columns=columns, filters=[("task", "==", "text_overlap")])
    except FileNotFoundError as exc:
        raise DataError("data.not_found", f"there is no file {path}") from exc
    except (pa.ArrowException, OSError) as exc:
        raise DataError(
            "data.format_unsupported", f"{path} is no Parquet file, or damaged: {exc}"
        ) from exc
    rows: list[Mapping[str, object]] = table.to_pylist()
    return rows
