"""What should become of runs, said a second time and without a database: the oracle of
`test_runs_state_machine.py`. Times are seconds of a clock that only `Oracle.pass_time` moves."""

from dataclasses import dataclass, field

LEASE_SECONDS = 90
MAX_LOST = 3
ACTIVE = ("running", "cancelling")
ENDED = ("succeeded", "failed", "cancelled")
RESUMABLE = ("failed", "cancelled")


@dataclass
class RunModel:
    """One run."""

    state: str = "queued"
    needs: tuple["RunModel", ...] = ()
    """The runs of the steps it waits for; replaced when a plan is restarted."""
    plan: "PlanModel | None" = None
    continued_by: "RunModel | None" = None
    num_lost: int = 0
    slot: str = ""
    lease_until: int = 0
    attempts: list[str] = field(default_factory=list)
    """State of each attempt."""
    events: set[tuple[int, int]] = field(default_factory=set)
    finisher: int | None = None
    """The attempt whose report the run has."""

    @property
    def attempt(self) -> int:
        """Number of the newest attempt."""
        return len(self.attempts)

    def is_held_by(self, attempt: int) -> bool:
        """Writes of the attempt are accepted."""
        return self.state in ACTIVE and attempt == self.attempt


@dataclass
class PlanModel:
    """Steps in order, each needing the one before; the newest run of each."""

    steps: list[RunModel]

    def settle(self) -> None:
        """Waiting steps were queued or cancelled."""
        for before, step in zip(self.steps, self.steps[1:], strict=False):
            if step.state == "waiting" and before.state in RESUMABLE:
                step.state = "cancelled"
            elif step.state == "waiting" and before.state == "succeeded":
                step.state = "queued"

    def restart(self) -> None:
        """Steps that ended badly have a new run."""
        for index, step in enumerate(self.steps):
            if step.state in RESUMABLE:
                step.continued_by = self.steps[index] = RunModel(state="waiting", plan=self)
        if self.steps[0].state == "waiting":
            self.steps[0].state = "queued"
        self.settle()


class Oracle:
    """Every run there is, and the clock."""

    def __init__(self) -> None:
        self.runs: list[RunModel] = []
        self.now = 0
        self.num_cancel_requests = 0

    def new_run(self, **fields: object) -> RunModel:
        """One more run."""
        run = RunModel(**fields)
        self.runs.append(run)
        return run

    def new_plan(self, num_steps: int) -> PlanModel:
        """A plan whose first step is queued."""
        plan = PlanModel([self.new_run(state="waiting") for _ in range(num_steps)])
        for step in plan.steps:
            step.plan = plan
        plan.steps[0].state = "queued"
        return plan

    def pass_time(self, seconds: int) -> None:
        """Leases come nearer to their end."""
        self.now += seconds

    def claim(self, run: RunModel, slot: str) -> bool:
        """What was on the slot is lost; then the run is running there, if it was queued."""
        for other in self.runs:
            if other.state in ACTIVE and other.slot == slot:
                self.lose(other, other.attempt)
        if run.state != "queued":
            return False
        run.state, run.slot, run.lease_until = "running", slot, self.now + LEASE_SECONDS
        run.attempts.append("starting")
        return True

    def start(self, run: RunModel, attempt: int) -> bool:
        """Only an attempt that has not ended may start; said twice, it is true once more."""
        if run.attempts[attempt - 1] not in ("starting", "running"):
            return False
        run.attempts[attempt - 1] = "running"
        return True

    def renew(self, run: RunModel, attempt: int) -> bool:
        """The lease has its full length again."""
        if not run.is_held_by(attempt):
            return False
        run.lease_until = self.now + LEASE_SECONDS
        return True

    def ingest(self, run: RunModel, attempt: int, seq: int) -> bool:
        """The event is there once."""
        if not run.is_held_by(attempt):
            return False
        run.events.add((attempt, seq))
        return True

    def succeed(self, run: RunModel, attempt: int, *, passes_gate: bool) -> bool:
        """The attempt's report is the run's."""
        if not run.is_held_by(attempt):
            return False
        run.finisher = attempt
        self._end(run, "succeeded" if passes_gate else "failed", attempt_state="succeeded")
        return True

    def fail(self, run: RunModel, attempt: int, *, is_retryable: bool) -> bool:
        """Failed for good, or one failure nearer to that."""
        if not run.is_held_by(attempt):
            return False
        if is_retryable:
            self._give_up(run, "failed")
        else:
            self._end(run, "failed", attempt_state="failed")
        return True

    def stop(self, run: RunModel, attempt: int) -> bool:
        """Cancelled if that was asked for, else queued and not held against the run."""
        if not run.is_held_by(attempt):
            return False
        state = "cancelled" if run.state == "cancelling" else "queued"
        self._end(run, state, attempt_state="stopped")
        return True

    def lose(self, run: RunModel, attempt: int) -> bool:
        """Another attempt, unless the run was to be cancelled or this was the last."""
        if not run.is_held_by(attempt):
            return False
        self._give_up(run, "lost")
        return True

    def expire(self, run: RunModel, attempt: int) -> bool:
        """As `lose`, if the lease has run out."""
        return run.is_held_by(attempt) and run.lease_until < self.now and self.lose(run, attempt)

    def reap(self) -> int:
        """Every run whose lease has run out is given up; how many."""
        return sum(self.expire(run, run.attempt) for run in list(self.runs))

    def cancel(self, run: RunModel) -> None:
        """A held run will be cancelled, another one is; an ended one stays as it is."""
        if run.state in ENDED or run.state == "cancelling":
            return
        self.num_cancel_requests += 1
        run.state = "cancelling" if run.state == "running" else "cancelled"
        self._settle(run)

    def resume(self, run: RunModel) -> bool:
        """A new run continues the ended one, or did before."""
        if run.state not in RESUMABLE:
            return False
        if run.continued_by is None and run.plan is not None:
            self.restart(run.plan)
        elif run.continued_by is None:
            run.continued_by = self.new_run()
        return True

    def restart(self, plan: PlanModel) -> None:
        """The plan's steps that ended badly have new runs."""
        before = list(plan.steps)
        plan.restart()
        self.runs += [run for run in plan.steps if run not in before]

    def _give_up(self, run: RunModel, attempt_state: str) -> None:
        if run.state == "cancelling":
            self._end(run, "cancelled", attempt_state=attempt_state)
            return
        run.num_lost += 1
        state = "queued" if run.num_lost < MAX_LOST else "failed"
        self._end(run, state, attempt_state=attempt_state)

    def _end(self, run: RunModel, state: str, *, attempt_state: str) -> None:
        run.state, run.slot = state, ""
        run.attempts[-1] = attempt_state
        self._settle(run)

    def _settle(self, run: RunModel) -> None:
        if run.plan is not None and run.state in (*ENDED, "cancelling"):
            run.plan.settle()
