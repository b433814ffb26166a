"""How the compared checkpoints were made and measured, parameter by parameter."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from studio.evaluations.results import Evaluation
from studio.measures.numbers import NONE

TRAINING = "training."


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterRow:
    """One parameter with one value for each evaluation."""

    name: str
    values: Sequence[str]
    is_different: bool
    """Not the same for all that are shown, not merely unlike the first."""


def parameter_rows(evaluations: Sequence[Evaluation]) -> list[ParameterRow]:
    """Every parameter that any of the evaluations has, in the order of the documents."""
    flat = [dict(_parameters(one)) for one in evaluations]
    names = dict.fromkeys(name for values in flat for name in values)
    return [_row(name, flat) for name in names]


def _row(name: str, flat: Sequence[Mapping[str, str]]) -> ParameterRow:
    # A model that no run here trained has no training parameters at all; that is one difference
    # (`training_run`), not forty.
    judged = [
        values.get(name)
        for values in flat
        if not name.startswith(TRAINING) or values["training_run"] != NONE
    ]
    return ParameterRow(
        name=name,
        values=[values.get(name, NONE) for values in flat],
        is_different=len(set(judged)) > 1,
    )


def _parameters(one: Evaluation) -> Iterator[tuple[str, str]]:
    yield "training_run", NONE if one.source is None else f"{one.source.name} {one.source.pk}"
    if one.source is not None:
        yield from _flat("training", one.source.spec)
    yield from _flat("evaluation", one.run.spec)
    yield from _flat("definitions", one.definitions)
    yield from _flat("environment", one.environment.model_dump())
    yield "code_version", one.report.code_version
    yield "model_digest", one.model_digest


def _flat(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _flat(f"{prefix}.{key}", child)
    elif isinstance(value, list) and any(isinstance(child, Mapping) for child in value):
        for index, child in enumerate(value):
            yield from _flat(f"{prefix}.{index}", child)
    else:
        yield prefix, _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, str):
        # Where the data directory lies is nobody's concern; what lies in it is.
        return value.removeprefix(f"{settings.STUDIO_DATA_DIR}/")
    return NONE if value is None else json.dumps(value, ensure_ascii=False)
