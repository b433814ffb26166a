"""What pages read of runs, plans and workers."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from studio.accounts.models import Project, User
from studio.runs.states import ACTIVE_STATES, UNFINISHED_STATES, Isolation, RunState

if TYPE_CHECKING:  # models.py imports this module
    from studio.runs.models import Plan, Run, Worker  # noqa: F401 (named in the bases)

WORKER_SILENT = timedelta(minutes=2)
"""A worker shows itself several times in this time; one that does not is taken for gone."""
WORKER_FORGOTTEN = timedelta(days=7)


class RunQuerySet(models.QuerySet["Run"]):
    """Runs."""

    def for_user(self, user: User) -> "RunQuerySet":
        """Runs of the projects the user is a member of."""
        return self.filter(project__in=Project.objects.for_user(user))

    def active(self) -> "RunQuerySet":
        """Held by an attempt."""
        return self.filter(state__in=ACTIVE_STATES)

    def unfinished(self) -> "RunQuerySet":
        """Not in a terminal state."""
        return self.filter(state__in=UNFINISHED_STATES)

    def current_steps(self) -> "RunQuerySet":
        """Without the runs that another run continues: the newest run of each step of a plan."""
        return self.filter(continued_by=None)

    def for_list(self) -> "RunQuerySet":
        """Without the two large documents, with what a row shows of other tables."""
        return self.defer("spec", "report").select_related("created_by", "plan")


class PlanQuerySet(models.QuerySet["Plan"]):
    """Plans."""

    def for_user(self, user: User) -> "PlanQuerySet":
        """Plans of the projects the user is a member of."""
        return self.filter(project__in=Project.objects.for_user(user))

    def with_progress(self) -> "PlanQuerySet":
        """With `state` (of RunState) and the numbers of steps it follows from.

        `num_steps`, `num_succeeded`, `num_failed`, `num_cancelled`, `num_running`, `started_at`
        and, once the plan has ended, `finished_at`.
        """

        def steps(**condition: object) -> Count:
            return Count("runs", filter=Q(runs__continued_by=None, **condition))

        value, when = models.Value, models.When
        return self.annotate(
            num_steps=steps(),
            num_succeeded=steps(runs__state=RunState.SUCCEEDED),
            num_failed=steps(runs__state=RunState.FAILED),
            num_cancelled=steps(runs__state=RunState.CANCELLED),
            num_running=steps(runs__state__in=ACTIVE_STATES),
            num_unfinished=steps(runs__state__in=UNFINISHED_STATES),
            started_at=Min("runs__started_at"),
            last_finished_at=Max("runs__finished_at"),
        ).annotate(
            finished_at=models.Case(
                when(num_unfinished=0, then=models.F("last_finished_at")), default=None
            ),
            state=models.Case(
                when(num_running__gt=0, then=value(RunState.RUNNING)),
                when(num_unfinished__gt=0, started_at=None, then=value(RunState.QUEUED)),
                when(num_unfinished__gt=0, then=value(RunState.RUNNING)),
                when(num_failed__gt=0, then=value(RunState.FAILED)),
                when(num_cancelled__gt=0, then=value(RunState.CANCELLED)),
                default=value(RunState.SUCCEEDED),
                output_field=models.CharField(),
            ),
        )


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Workers."""

    def present(self) -> "WorkerQuerySet":
        """Seen a moment ago."""
        return self.filter(seen_at__gt=timezone.now() - WORKER_SILENT)

    def remembered(self) -> "WorkerQuerySet":
        """Seen in the last days."""
        return self.filter(seen_at__gt=timezone.now() - WORKER_FORGOTTEN)

    def unconfined(self) -> "WorkerQuerySet":
        """Their children have the rights of the platform."""
        return self.filter(isolation=Isolation.OFF)
