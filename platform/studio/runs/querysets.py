"""What pages read of runs, plans and events."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Count, Max, Min, Q

from studio.accounts.models import Project, User

if TYPE_CHECKING:  # models.py imports this module
    from studio.runs.models import Plan, Run, RunEvent  # noqa: F401 (named in the bases)

NOT_ENDED = ("waiting", "queued", "running", "cancelling")


class RunQuerySet(models.QuerySet["Run"]):
    """Runs."""

    def for_user(self, user: User) -> "RunQuerySet":
        """Runs of the projects the user is a member of."""
        return self.filter(project__in=Project.objects.for_user(user))

    def active(self) -> "RunQuerySet":
        """Held by an attempt."""
        return self.filter(state__in=("running", "cancelling"))

    def unfinished(self) -> "RunQuerySet":
        """Not in a terminal state."""
        return self.filter(state__in=NOT_ENDED)

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

        return self.annotate(
            num_steps=steps(),
            num_succeeded=steps(runs__state="succeeded"),
            num_failed=steps(runs__state="failed"),
            num_cancelled=steps(runs__state="cancelled"),
            num_running=steps(runs__state__in=("running", "cancelling")),
            num_unfinished=steps(runs__state__in=NOT_ENDED),
            started_at=Min("runs__started_at"),
            last_finished_at=Max("runs__finished_at"),
        ).annotate(
            finished_at=models.Case(
                models.When(num_unfinished=0, then=models.F("last_finished_at")), default=None
            ),
            state=models.Case(
                models.When(num_running__gt=0, then=models.Value("running")),
                models.When(num_unfinished__gt=0, started_at=None, then=models.Value("queued")),
                models.When(num_unfinished__gt=0, then=models.Value("running")),
                models.When(num_failed__gt=0, then=models.Value("failed")),
                models.When(num_cancelled__gt=0, then=models.Value("cancelled")),
                default=models.Value("succeeded"),
                output_field=models.CharField(),
            ),
        )


class RunEventQuerySet(models.QuerySet["RunEvent"]):
    """Events of runs."""

    def after(self, attempt: int, seq: int) -> "RunEventQuerySet":
        """Events behind the cursor (attempt, seq), oldest first."""
        return self.filter(Q(attempt__gt=attempt) | Q(attempt=attempt, seq__gt=seq)).order_by(
            "attempt", "seq"
        )

    def metric_points(self) -> "list[RunEvent]":
        """One MetricsLogged event for each step, in step order; the newest attempt wins.

        An attempt that resumes from step 20 logs step 21 again, which its predecessor may have
        logged before it died; a chart must show the step once.
        """
        newest: dict[int | None, RunEvent] = {}
        for event in self.filter(kind="MetricsLogged").order_by("attempt", "seq"):
            newest[event.payload["step"]] = event
        return [
            newest[step] for step in sorted(newest, key=lambda step: -1 if step is None else step)
        ]
