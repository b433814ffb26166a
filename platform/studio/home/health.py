"""Whether the platform answers: a word for everybody, and more for administrators."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.db.models import Min
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from studio.runs.models import Run, Worker
from studio.runs.states import RunState

logger = logging.getLogger(__name__)


@require_safe
@never_cache
@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """200 `ok` or 503 `not ok`; administrators of the installation get JSON with what is known."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not request.user.is_superuser:
            return HttpResponse("ok\n", content_type="text/plain")
        return JsonResponse({"status": "ok"} | _details())
    except Error:
        logger.exception("the database does not answer")
        return HttpResponse("not ok\n", status=503, content_type="text/plain")


def _details() -> dict[str, object]:
    queued = Run.objects.filter(state=RunState.QUEUED)
    present = {worker.owner for worker in Worker.objects.present()}
    return {
        "workers": [
            {
                "owner": worker.owner,
                "isolation": worker.isolation,
                "seen_at": worker.seen_at,
                "is_present": worker.owner in present,
            }
            for worker in Worker.objects.remembered()
        ],
        "queued_runs": queued.count(),
        "oldest_queued_at": queued.aggregate(oldest=Min("created_at"))["oldest"],
    }
