"""Addresses of the rows behind a figure."""

from collections.abc import Sequence

from django.http import QueryDict
from django.urls import reverse

from studio.evaluations.results import Evaluation, Result


def compare_rows_url(evaluations: Sequence[Evaluation], **choices: str) -> str:
    """The samples of several evaluations side by side, the baseline first."""
    return _url("comparisons:samples", evaluations, choices)


def rows_url(evaluation: Evaluation, **choices: str) -> str:
    """The samples of one evaluation."""
    return _url("evaluations:rows", [evaluation], choices)


def run_url(result: Result) -> str:
    """The run that measured."""
    return reverse("runs:detail", args=[result.run.project.slug, result.run.pk])


def _url(name: str, evaluations: Sequence[Evaluation], choices: dict[str, str]) -> str:
    query = QueryDict(mutable=True)
    query.setlist("run", [one.id for one in evaluations])
    query.update(choices)
    return f"{reverse(name, args=[evaluations[0].run.project.slug])}?{query.urlencode()}"
