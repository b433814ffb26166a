"""A run, its attempts, its events, and the plan it may belong to.

The database owns a run: a worker holds it only through the attempt number it was given by `claim`,
and every later write names that number. `lifecycle` is what workers call, `services.py` what
people call; both move a run only through `transitions.move`.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from studio.accounts.models import Project
from studio.runs.querysets import PlanQuerySet, RunQuerySet, WorkerQuerySet
from studio.runs.states import (
    ACTIVE_STATES,
    LIVE_ATTEMPT_STATES,
    TERMINAL_STATES,
    AttemptState,
    Isolation,
    Queue,
    RunState,
)


class Plan(models.Model):
    """Runs that depend on each other, made from one plan spec. Its state follows from its runs."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="plans")
    name = models.CharField(max_length=200)
    spec = models.JSONField()
    spec_digest = models.CharField(max_length=64)
    idempotency_key = models.CharField(max_length=100, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="plans_created"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = PlanQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("project", "idempotency_key"),
                condition=~Q(idempotency_key=""),
                name="plan_idempotency_key_unique",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One spec to be executed, and its result."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="runs")
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=200)
    spec = models.JSONField()
    """Canonical form. In a plan, `from_step` references are resolved when the run is queued."""
    spec_digest = models.CharField(max_length=64)
    queue = models.CharField(max_length=20, choices=Queue.choices)
    state = models.CharField(max_length=20, choices=RunState.choices, default=RunState.QUEUED)

    attempt = models.PositiveIntegerField(default=0)
    """Number of the newest attempt; the fence every write of a worker carries."""
    num_lost = models.PositiveIntegerField(default=0)
    """Attempts that died or failed in a way another attempt may mend; a drain does not count."""
    max_attempts = models.PositiveIntegerField(default=3)
    """`num_lost` reaching this ends the run as failed."""
    owner = models.CharField(max_length=200, blank=True)
    """Device slot (`host/slot`) of the attempt that holds the run."""
    lease_expires_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="runs_created"
    )
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    report = models.JSONField(null=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    idempotency_key = models.CharField(max_length=100, blank=True)

    plan = models.ForeignKey(Plan, null=True, on_delete=models.PROTECT, related_name="runs")
    step_id = models.CharField(max_length=40, blank=True)
    needs = models.JSONField(default=list)
    """Step ids that must have succeeded before this run is queued."""
    cloned_from = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    continues = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="continued_by"
    )
    """The ended run whose checkpoints this one resumes from."""

    # Copied from the newest Progress event, so that a list of runs needs no join.
    progress_stage = models.CharField(max_length=100, blank=True)
    progress_done = models.FloatField(null=True)
    progress_total = models.FloatField(null=True)
    progress_unit = models.CharField(max_length=40, blank=True)
    progress_eta_seconds = models.FloatField(null=True)
    progress_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            models.Index(fields=("project", "-created_at"), name="run_project_created"),
            # Read by the dispatcher's reaper every few seconds.
            models.Index(
                fields=("lease_expires_at",),
                condition=Q(lease_expires_at__isnull=False),
                name="run_lease",
            ),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=RunState.values), name="run_state_is_known"
            ),
            models.CheckConstraint(condition=Q(queue__in=Queue.values), name="run_queue_is_known"),
            # A NULL lease would never expire: whatever is active must be reachable by the reaper.
            models.CheckConstraint(
                condition=(
                    Q(state__in=ACTIVE_STATES, lease_expires_at__isnull=False) & ~Q(owner="")
                )
                | (~Q(state__in=ACTIVE_STATES) & Q(lease_expires_at__isnull=True, owner="")),
                name="run_active_means_leased",
            ),
            models.CheckConstraint(
                condition=Q(state__in=TERMINAL_STATES, finished_at__isnull=False)
                | (~Q(state__in=TERMINAL_STATES) & Q(finished_at__isnull=True)),
                name="run_terminal_means_finished",
            ),
            models.CheckConstraint(
                condition=~Q(state=RunState.SUCCEEDED) | Q(report__isnull=False),
                name="run_succeeded_means_reported",
            ),
            models.UniqueConstraint(
                fields=("project", "idempotency_key"),
                condition=~Q(idempotency_key=""),
                name="run_idempotency_key_unique",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        """An attempt holds the run."""
        return self.state in ACTIVE_STATES

    @property
    def is_terminal(self) -> bool:
        """The run has ended for good."""
        return self.state in TERMINAL_STATES

    @property
    def is_cancellable(self) -> bool:
        """A cancel request would have an effect."""
        return not self.is_terminal and self.state != RunState.CANCELLING

    @property
    def is_resumable(self) -> bool:
        """Ended without a result; a new run may go on from its newest checkpoint."""
        return self.state in (RunState.FAILED, RunState.CANCELLED)


class Attempt(models.Model):
    """One execution of a run by one supervisor."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    state = models.CharField(
        max_length=20, choices=AttemptState.choices, default=AttemptState.STARTING
    )
    worker = models.CharField(max_length=200)
    """The device slot, `host/slot`."""
    pid = models.PositiveIntegerField(null=True)
    """Process id of the child, which leads its own process group."""
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    exit_status = models.IntegerField(null=True)
    """Negative: the number of the signal that killed the child."""
    resumed_from = models.CharField(max_length=1000, blank=True)
    """Checkpoint directory, relative to the data directory."""
    message = models.TextField(blank=True)
    """Why the attempt ended, when it did not succeed."""

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=("run", "number"), name="attempt_number_unique"),
            models.UniqueConstraint(
                fields=("run",),
                condition=Q(state__in=LIVE_ATTEMPT_STATES),
                name="attempt_one_live_per_run",
            ),
            models.UniqueConstraint(
                fields=("worker",),
                condition=Q(state__in=LIVE_ATTEMPT_STATES),
                name="attempt_one_live_per_slot",
            ),
        )

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.run_id}"


class RunEvent(models.Model):
    """One line of an attempt's `events.jsonl`."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    attempt = models.PositiveIntegerField()
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    payload = models.JSONField()

    class Meta:
        ordering = ("attempt", "seq")
        indexes = (models.Index(fields=("run", "kind", "attempt", "seq"), name="run_event_kind"),)
        constraints = (
            models.UniqueConstraint(fields=("run", "attempt", "seq"), name="run_event_unique"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.attempt}.{self.seq}"


class Outbox(models.Model):
    """A queued run whose wake-up message may still have to be sent; gone once it is claimed."""

    run = models.OneToOneField(
        Run, on_delete=models.CASCADE, primary_key=True, related_name="outbox"
    )
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    times_sent = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("created_at",)
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return f"wake-up of {self.run_id}"


class Worker(models.Model):
    """A worker process as it last showed itself. What it runs is the live attempt of its slot."""

    owner = models.CharField(max_length=200, primary_key=True)
    """The device slot, `host/slot`."""
    pid = models.PositiveIntegerField()
    isolation = models.CharField(max_length=30, choices=Isolation.choices)
    seen_at = models.DateTimeField()

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ("owner",)
        constraints = (
            models.CheckConstraint(
                condition=Q(isolation__in=Isolation.values), name="worker_isolation_is_known"
            ),
        )

    def __str__(self) -> str:
        return self.owner

    @property
    def host(self) -> str:
        """The machine."""
        return self.owner.rpartition("/")[0]

    @property
    def slot(self) -> str:
        """What it works on there."""
        return self.owner.rpartition("/")[2]
