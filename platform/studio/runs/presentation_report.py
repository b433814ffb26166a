"""A spec and a report as rows of text: dotted name and value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from pipeline.contracts.reports import Report
from studio.runs.models import Run

MAX_ROWS = 400
MAX_LIST_ITEMS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputRow:
    """An output of a run and the page of what became of it ("" when nothing did)."""

    name: str
    path: str
    digest: str
    url: str


def document_rows(document: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """(dotted name, value) of every leaf that is not empty, at most `MAX_ROWS`."""
    rows = []
    for name, value in _leaves(document or {}, ""):
        rows.append((name, value))
        if len(rows) == MAX_ROWS:
            break
    return rows


def result_rows(report: Report) -> list[tuple[str, str]]:
    """(dotted name, value) of every figure of the report."""
    return document_rows(report.results.model_dump(mode="json", exclude={"kind"}))


def document_changes(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """(dotted name, before, after) of every leaf that differs."""
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    names = list(dict.fromkeys([*old, *new]))
    return [
        (name, old.get(name, ""), new.get(name, ""))
        for name in names
        if old.get(name) != new.get(name)
    ]


def output_rows(
    run: Run, report: Report | None, *, project_slug: str, checkpoint_ids: Mapping[str, int]
) -> list[OutputRow]:
    """The outputs of the run's report, with a link where a page shows one.

    Args:
        run: with `dataset_version` selected.
        report: the run's; None without one.
        project_slug: for the links.
        checkpoint_ids: path of the output, below the attempt's directory -> its checkpoint.
    """
    if report is None:
        return []
    return [
        OutputRow(
            name=name,
            path=output.path,
            digest=output.digest or "",
            url=_output_url(run, name, output.path, project_slug, checkpoint_ids),
        )
        for name, output in report.outputs.items()
    ]


def _output_url(
    run: Run, name: str, path: str, project_slug: str, checkpoint_ids: Mapping[str, int]
) -> str:
    if path in checkpoint_ids:
        return reverse("registry:checkpoint", args=[project_slug, checkpoint_ids[path]])
    version = getattr(run, "dataset_version", None) if name == "dataset" else None
    if version is not None:
        return reverse("datasets:version", args=[project_slug, version.pk])
    return ""


def _leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if {"value", "low", "high"} <= value.keys():
            yield name, _interval(value)
            return
        for key, child in value.items():
            yield from _leaves(child, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        if any(isinstance(item, Mapping | list) for item in value):
            for index, child in enumerate(value):
                yield from _leaves(child, f"{name}.{index}")
        elif value:
            shown = ", ".join(_text(item) for item in value[:MAX_LIST_ITEMS])
            yield name, shown + (", \N{HORIZONTAL ELLIPSIS}" if len(value) > MAX_LIST_ITEMS else "")
    elif value is not None and value != "":
        yield name, _text(value)


def _interval(value: Mapping[str, Any]) -> str:
    text = _text(value["value"])
    if value["low"] is not None and value["high"] is not None:
        text += f" [{_text(value['low'])}, {_text(value['high'])}]"
    return f"{text}, n = {value['n']}" if "n" in value else text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
