"""The rows behind one evaluation's figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from pipeline.contracts.samples import TASKS, Task
from studio.measures.documents import Documents
from studio.measures.labels import ShownMeasure, item_measures
from studio.measures.numbers import measured
from studio.measures.row_pages import RowPage, excerpt, html_lang, row_page
from studio.measures.sample_files import SamplesFile
from studio.measures.sample_texts import Sample, load_samples
from studio.measures.score_tables import load_scores
from studio.pages.addresses import chosen

SORTS: dict[str, Promise] = {
    "item": _("as in the data set"),
    "low": _("lowest score first"),
    "high": _("highest score first"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRow:
    """One item in the list: the beginnings of its texts."""

    item_id: str
    category: str
    lang: str
    """As HTML has it."""
    input: str
    reference: str
    answer: str
    score: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultRows:
    """One page of rows and the choices that led to it."""

    task: Task
    tasks: Sequence[Task]
    measure: ShownMeasure
    measures: Sequence[ShownMeasure]
    sort: str
    documents: Documents
    page: RowPage
    rows: Sequence[SampleRow]
    num_all: int


def result_rows(file: SamplesFile, request: HttpRequest) -> ResultRows | None:
    """The rows that the request's query asks for; None when the result has no row at all.

    Raises:
        DataError: of `load_scores`.
    """
    tasks = [task for task in TASKS if load_scores(file, task).item_ids]
    if not tasks:
        return None
    task = chosen(request.GET.get("task", ""), tasks)
    table = load_scores(file, task)
    measures = {one.key: one for one in item_measures(task)}
    measure = measures[chosen(request.GET.get("metric", ""), list(measures))]
    sort = chosen(request.GET.get("sort", ""), list(SORTS))
    documents = chosen(request.GET.get("documents", ""), list(Documents))
    order = np.arange(len(table.item_ids))
    # A file older than the measure has nothing to sort by; its scores are dashes.
    if sort != "item" and measure.column in table.columns:
        scores = table.columns[measure.column]
        order = np.argsort(scores if sort == "low" else -scores, kind="stable")
    if documents != Documents.ALL:
        order = order[table.is_unseen[order] == (documents == Documents.UNSEEN)]
    page = row_page([table.item_ids[row] for row in order], request)
    samples = load_samples(file, task, page.item_ids)
    return ResultRows(
        task=task,
        tasks=tasks,
        measure=measure,
        measures=list(measures.values()),
        sort=sort,
        documents=documents,
        page=page,
        rows=[_row(samples[item_id], measure) for item_id in page.item_ids],
        num_all=len(table.item_ids),
    )


def _row(sample: Sample, measure: ShownMeasure) -> SampleRow:
    return SampleRow(
        item_id=sample.item_id,
        category=sample.category,
        lang=html_lang(sample.lang),
        input=excerpt(sample.input),
        reference=excerpt(sample.reference),
        answer=excerpt(sample.answer),
        score=measured(measure, sample.score(measure)),
    )
