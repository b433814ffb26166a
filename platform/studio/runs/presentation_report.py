"""A spec and a report as rows of text: dotted name and value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from django.utils.translation import gettext as _

from pipeline.contracts.base import Contract
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.reports import Report
from pipeline.metrics.noninferiority import MIN_UNITS

MAX_ROWS = 400
MAX_LIST_ITEMS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputRow:
    """An output of a run and the page of what became of it ("" when nothing did)."""

    name: str
    path: str
    digest: str
    url: str


def document_rows(document: Contract | Mapping[str, object]) -> list[tuple[str, str]]:
    """(dotted name, value) of every leaf that is not empty, at most `MAX_ROWS`."""
    return list(islice(_leaves(document, ""), MAX_ROWS))


def result_rows(report: Report) -> list[tuple[str, str]]:
    """(dotted name, value) of every figure of the report; an estimate is one row."""
    return document_rows({name: value for name, value in report.results if name != "kind"})


def document_changes(
    before: Mapping[str, object], after: Mapping[str, object]
) -> list[tuple[str, str, str]]:
    """(dotted name, before, after) of every leaf that differs."""
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    names = list(dict.fromkeys([*old, *new]))
    return [
        (name, old.get(name, ""), new.get(name, ""))
        for name in names
        if old.get(name) != new.get(name)
    ]


def output_rows(report: Report, pages: Mapping[str, str]) -> list[OutputRow]:
    """The outputs of a report; `pages` has the addresses of what was published from them."""
    return [
        OutputRow(name=name, path=output.path, digest=output.digest or "", url=pages.get(name, ""))
        for name, output in report.outputs.items()
    ]


def _leaves(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Estimate):
        yield name, _estimate(value)
    elif isinstance(value, Mapping | Contract):
        for key, child in value.items() if isinstance(value, Mapping) else value:
            yield from _leaves(child, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | Contract | list | tuple) for item in value):
            for index, child in enumerate(value):
                yield from _leaves(child, f"{name}.{index}")
        elif value:
            shown = ", ".join(_text(item) for item in value[:MAX_LIST_ITEMS])
            yield name, shown + (", \N{HORIZONTAL ELLIPSIS}" if len(value) > MAX_LIST_ITEMS else "")
    elif value is not None and value != "":
        yield name, _text(value)


def _estimate(estimate: Estimate) -> str:
    text = _text(estimate.value)
    if estimate.interval is not None:
        low, high, _level = estimate.interval
        text += f" [{_text(low)}, {_text(high)}]"
    units = _("%(n)s units") % {"n": estimate.num_units}
    if estimate.interval is not None and estimate.num_units < MIN_UNITS:
        units = _("few units: %(n)s") % {"n": estimate.num_units}
    return f"{text}, n = {estimate.n}, {units}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
