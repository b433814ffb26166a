"""Stages of supervised fine-tuning: what each draws from, and how much.

`progressive` runs the stages in order, each with replay of the data of all earlier ones.
`single_stage` is its control: the same tokens of each stage's data, shuffled into one stage, so
that the two runs differ in the order alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.contracts.training_specs import CurriculumSftSpec
from pipeline.data.mixture import Source
from pipeline.data.tokenize import TokenizedRow


@dataclass(frozen=True, kw_only=True, slots=True)
class StagePlan:
    """One stage as it is trained."""

    name: str
    sources: tuple[Source, ...]
    """Named after the stage whose data they hold; their weights are tokens."""
    num_tokens: int
    learning_rate_scale: float


def plan_stages(
    spec: CurriculumSftSpec, rows_by_stage: Sequence[Sequence[TokenizedRow]]
) -> list[StagePlan]:
    """The stages of `spec` in the order they are trained.

    Replay is divided over the earlier stages in proportion to their data. In `single_stage` the
    learning rate scale is the stages' mean, weighted by their tokens.

    Args:
        rows_by_stage: all rows of the datasets of each stage of the spec.
    """
    num_data_tokens = [sum(len(row.input_ids) for row in rows) for rows in rows_by_stage]
    budgets = []
    for index, stage in enumerate(spec.stages):
        replayed = stage.replay_fraction * stage.num_tokens
        earlier = sum(num_data_tokens[:index])
        budget = [replayed * tokens / earlier for tokens in num_data_tokens[:index]]
        budgets.append([*budget, stage.num_tokens - replayed])
    if spec.mode == "progressive":
        return [
            StagePlan(
                name=stage.name,
                sources=_sources(spec, rows_by_stage, budget),
                num_tokens=stage.num_tokens,
                learning_rate_scale=stage.learning_rate_scale,
            )
            for stage, budget in zip(spec.stages, budgets, strict=True)
        ]
    total = sum(stage.num_tokens for stage in spec.stages)
    union = [
        sum(budget[index] for budget in budgets if index < len(budget))
        for index in range(len(spec.stages))
    ]
    scale = sum(stage.learning_rate_scale * stage.num_tokens for stage in spec.stages) / total
    return [
        StagePlan(
            name="single_stage",
            sources=_sources(spec, rows_by_stage, union),
            num_tokens=total,
            learning_rate_scale=scale,
        )
    ]


def _sources(
    spec: CurriculumSftSpec,
    rows_by_stage: Sequence[Sequence[TokenizedRow]],
    budget: Sequence[float],
) -> tuple[Source, ...]:
    return tuple(
        Source(name=spec.stages[index].name, weight=tokens, rows=rows_by_stage[index])
        for index, tokens in enumerate(budget)
        if tokens > 0
    )
