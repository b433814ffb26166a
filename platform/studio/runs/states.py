"""The words of runs: where one stands, how an attempt went, who takes it."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class RunState(models.TextChoices):
    """Where a run stands. The last three are terminal and never left."""

    WAITING = "waiting", _("Waiting for earlier steps")
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    CANCELLING = "cancelling", _("Cancelling")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


ACTIVE_STATES = (RunState.RUNNING, RunState.CANCELLING)
"""An attempt holds the run under a lease."""
TERMINAL_STATES = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)
UNFINISHED_STATES = tuple(state for state in RunState if state not in TERMINAL_STATES)


class AttemptState(models.TextChoices):
    """How one execution of a run went."""

    STARTING = "starting", _("Starting")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    STOPPED = "stopped", _("Stopped at a checkpoint")
    LOST = "lost", pgettext_lazy("an attempt", "Lost")


LIVE_ATTEMPT_STATES = (AttemptState.STARTING, AttemptState.RUNNING)


class Queue(models.TextChoices):
    """Which kind of supervisor takes a run."""

    COMPUTE = "compute", _("Compute")
    INTERACTIVE = "interactive", _("Interactive")


class Isolation(models.TextChoices):
    """What keeps a worker's children to their work: docs/security.md, section 4."""

    BUBBLEWRAP = "bubblewrap", _("bubblewrap: files, processes and a network of its own")
    LANDLOCK = "landlock", _("Landlock: files by rule, a network of its own")
    # No namespace can be made on the machine.
    LANDLOCK_NO_NETWORK = "landlock_no_network", _("Landlock: files by rule, no network at all")
    OFF = "off", _("none: runs have the rights of the platform")
