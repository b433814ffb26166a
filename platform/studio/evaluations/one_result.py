"""The rows behind one evaluation's figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from studio.evaluations.formats import measured
from studio.evaluations.measures import Measure, item_measures
from studio.evaluations.models import Documents
from studio.evaluations.row_pages import RowPage, excerpt, html_lang, row_page
from studio.evaluations.sample_files import TASKS, SamplesFile, Task, load_scores, load_texts

SORTS: dict[str, Promise] = {
    "item": _("as in the data set"),
    "low": _("lowest score first"),
    "high": _("highest score first"),
}
DOCUMENTS: dict[str, Promise] = {
    Documents.ALL: _("all documents"),
    Documents.SEEN: _("documents training may have seen"),
    Documents.UNSEEN: _("documents kept out of training"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultRows:
    """One page of rows and the choices that led to it."""

    task: Task
    tasks: list[Task]
    measure: Measure
    measures: list[Measure]
    sort: str
    documents: str
    page: RowPage
    rows: list[dict[str, Any]]
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
    measures = item_measures(task)
    keys = {measure.key: measure for measure in measures}
    measure = keys[chosen(request.GET.get("metric", ""), list(keys))]
    sort = chosen(request.GET.get("sort", ""), list(SORTS))
    documents = chosen(request.GET.get("documents", ""), list(DOCUMENTS))
    table = load_scores(file, task)
    order = np.arange(len(table.item_ids))
    if sort != "item":
        scores = table.scores[measure.key]
        order = np.argsort(scores if sort == "low" else -scores, kind="stable")
    if documents != Documents.ALL:
        order = order[table.is_unseen[order] == (documents == Documents.UNSEEN)]
    page = row_page([table.item_ids[row] for row in order], request)
    texts = load_texts(file, task, page.item_ids)
    return ResultRows(
        task=task,
        tasks=tasks,
        measure=measure,
        measures=measures,
        sort=sort,
        documents=documents,
        page=page,
        rows=[_row(texts[item_id], measure) for item_id in page.item_ids],
        num_all=len(table.item_ids),
    )


def chosen(value: str, allowed: list[Any]) -> Any:
    """`value` if it is allowed, else the first that is: an old link still opens."""
    return value if value in allowed else allowed[0]


def _row(text: dict[str, Any], measure: Measure) -> dict[str, Any]:
    score = text[measure.key]
    return {
        "item_id": text["item_id"],
        "category": text["category"],
        "lang": html_lang(text["lang"]),
        "input": excerpt(text["input"]),
        "reference": excerpt(text["reference"]),
        "answer": excerpt(text["answer"]),
        "score": measured(measure, None if score is None else float(score)),
    }
