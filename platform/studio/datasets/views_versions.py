"""Versions: what they are, their rows, and their end."""

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import prefetch_related_objects
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from studio.accounts.access import ProjectRequest, RoleRequiredError, project_required
from studio.accounts.models import Role
from studio.datasets import services
from studio.datasets.models import DatasetVersion
from studio.datasets.parquet_pages import read_page
from studio.datasets.rights import UPLOADERS
from studio.pages.pagination import first_index

PAGE_SIZE = 25
MAX_CELL_CHARS = 240
EXPORT_NAMES = {"jsonl": "JSON Lines", "csv": "CSV", "xlsx": "XLSX", "parquet": "Parquet"}
SHOWN_COLUMNS = {
    "corpus": ("title", "text"),
    "conversations": ("messages",),
    "domain_test": ("instruction", "input", "output"),
    "multiple_choice": ("question", "choices", "answer"),
}
CONTEXT_COLUMNS = ("system", "history")
"""Of a question that has any, shown with the row in full."""


@require_safe
@project_required()
def version(request: ProjectRequest, version_id: int) -> HttpResponse:
    """What the version is and one page of its rows."""
    found = _version(request, version_id)
    prefetch_related_objects([found], "tags", "remarks__created_by")
    context: dict[str, Any] = {
        "version": found,
        "manifest": found.description,
        "can_delete": _can_delete(request, found),
        "can_change": found.deleted_at is None and request.role in (*UPLOADERS, Role.ADMIN),
        "exports": EXPORT_NAMES.items(),
    }
    if found.deleted_at is None:
        page = read_page(found.rows_path, start=first_index(request), size=PAGE_SIZE)
        columns = SHOWN_COLUMNS[found.dataset.kind]
        context |= {
            "page": page,
            "columns": columns,
            "rows": [
                {
                    "index": index,
                    "id": row["id"],
                    "cells": [_short(_cell_text(row[name])) for name in columns],
                }
                for index, row in page.rows
            ],
        }
    return render(request, "datasets/version.html", context)


@require_safe
@project_required()
def row(request: ProjectRequest, version_id: int, index: int) -> HttpResponse:
    """One row in full."""
    found = _version(request, version_id)
    if found.deleted_at is not None:
        raise Http404("the version was deleted")
    page = read_page(found.rows_path, start=index, size=1)
    if not page.rows:
        raise Http404(f"the version has {page.num_rows} rows")
    content = page.rows[0][1]
    return render(
        request,
        "datasets/row.html",
        {
            "version": found,
            "index": index,
            "can_change": request.role in (*UPLOADERS, Role.ADMIN),
            "row": content,
            "texts": [
                (name, content[name])
                for name in (*CONTEXT_COLUMNS, *SHOWN_COLUMNS[found.dataset.kind])
                if content.get(name) is not None
            ],
            "meta": json.loads(content["meta"]).items(),
            "next_index": page.next_start,
        },
    )


@require_POST
@project_required(*UPLOADERS)
def delete(request: ProjectRequest, version_id: int) -> HttpResponse:
    """The rows are removed; the page goes on to say what the version was."""
    found = _version(request, version_id)
    if not _can_delete(request, found):
        raise RoleRequiredError((Role.ADMIN,))
    try:
        services.version_delete(version=found, actor=request.user)
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, _("%(version)s was deleted.") % {"version": found})
    return redirect("datasets:version", request.project.slug, found.pk)


def _version(request: ProjectRequest, version_id: int) -> DatasetVersion:
    versions = DatasetVersion.objects.for_user(request.user).select_related(
        "dataset__project",
        "upload",
        "created_by",
        "deleted_by",
        "run__dataset_import",
        "run__revision__base__dataset",
    )
    return get_object_or_404(
        versions.defer("run__spec", "run__report"),
        dataset__project=request.project,
        pk=version_id,
    )


def _can_delete(request: ProjectRequest, found: DatasetVersion) -> bool:
    if found.deleted_at is not None:
        return False
    is_own = request.role in UPLOADERS and found.created_by == request.user
    return is_own or request.role == Role.ADMIN


def _cell_text(value: object) -> str:
    """A cell of `rows.parquet` on one line."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " / ".join(
            item["content"] if isinstance(item, dict) else str(item) for item in value
        )
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= MAX_CELL_CHARS else f"{text[:MAX_CELL_CHARS]}..."
