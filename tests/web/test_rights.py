"""A right ends when its reason ends: every right, every event, every role of who made it.

No cell of the matrix is written down. A person has a standing; an event is the standings they go
through; a right has a reason in some standings. It works afterwards when its reason held in every
one of them and, if it is a key, no password was changed. A second matrix changes rows behind the
services' back: then only the question asked at the use stands between.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.test import Client
from django.utils import timezone

from studio.accounts import services
from studio.accounts.links import link_find
from studio.accounts.models import AuditEvent, Membership, OneTimeLink, Project, Role, User
from studio.runs import lifecycle
from studio.runs.kinds import KINDS
from studio.runs.models import Outbox, Run
from studio.runs.services import plan_restart, run_cancel
from studio.runs.states import RunState
from tests.web import factories

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.generated]

PASSWORD = "seven green kilns"
NEW_ACCOUNT = {"username": "puppet", "password1": PASSWORD, "password2": PASSWORD}
NEW_PASSWORD = {"password1": "eight blue kilns", "password2": "eight blue kilns"}


@dataclass(frozen=True)
class Standing:
    """What somebody is at a moment."""

    role: Role | None
    is_superuser: bool = False
    is_active: bool = True
    works_elsewhere: bool = False

    @property
    def acts_as(self) -> Role | None:
        if not self.is_active:
            return None
        return Role.ADMIN if self.is_superuser else self.role

    def is_managed_by(self, maker: "Standing") -> bool:
        if maker.is_superuser:
            return self.is_active and maker.is_active
        is_ours = self.role is not None and not self.works_elsewhere and not self.is_superuser
        return maker.acts_as == Role.ADMIN and self.is_active and is_ours


ROLES = (*Role, "superuser")
SUBJECT = Standing(Role.EXPERT)


def standing_of(role: str) -> Standing:
    if role == "superuser":
        return Standing(Role.REVIEWER, is_superuser=True)
    return Standing(Role(role))


@dataclass(frozen=True)
class Step:
    """One change of a person: what it makes of their standing, and who brings it about."""

    name: str
    after: Callable[[Standing], Standing]
    by_service: Callable[["World", User], object]
    by_rows: Callable[["World", User], object] | None = None
    is_new_password: bool = False


def become(role: Role) -> Step:
    return Step(
        f"become {role}",
        lambda standing: replace(standing, role=role),
        lambda world, user: services.membership_set_role(
            actor=world.root, membership=world.membership(user), role=role
        ),
        lambda world, user: Membership.objects.filter(user=user).update(role=role),
    )


def rejoin(world: "World", user: User) -> None:
    role = Role.EXPERT if user == world.subject else world.standing.role
    services.membership_create(actor=world.root, project=world.project, user=user, role=role)


REMOVE = Step(
    "removed",
    lambda standing: replace(standing, role=None),
    lambda world, user: services.membership_remove(
        actor=world.root, membership=world.membership(user)
    ),
    lambda world, user: Membership.objects.filter(user=user).delete(),
)
DISABLE = Step(
    "disabled",
    lambda standing: replace(standing, is_active=False),
    lambda world, user: services.user_disable(actor=world.root, user=user),
    lambda world, user: User.objects.filter(pk=user.pk).update(is_active=False),
)
ENABLE = Step(
    "enabled",
    lambda standing: replace(standing, is_active=True),
    lambda world, user: services.user_enable(actor=world.root, user=user),
)
NEW_PASSWORD_STEP = Step(
    "new password",
    lambda standing: standing,
    lambda world, user: services.user_set_password(user=user, password="nine red kilns x"),
    is_new_password=True,
)
WORK_ELSEWHERE = Step(
    "works elsewhere too",
    lambda standing: replace(standing, works_elsewhere=True),
    lambda world, user: services.membership_create(
        actor=world.root, project=world.elsewhere, user=user, role=Role.EXPERT
    ),
    lambda world, user: Membership.objects.create(
        project=world.elsewhere, user=user, role=Role.EXPERT
    ),
)


def there_and_back(standing: Standing) -> list[tuple[Step, ...]]:
    """Events after which everything is as before, though nothing may have come back."""
    assert standing.role is not None
    back = become(standing.role)
    rejoined = Step("rejoined", lambda after: replace(after, role=standing.role), rejoin)
    return [
        (become(Role.REVIEWER if standing.role != Role.REVIEWER else Role.EXPERT), back),
        (REMOVE, rejoined),
        (DISABLE, ENABLE),
    ]  # fmt: skip


EVENTS: list[tuple[Step, ...]] = [
    (),
    *((become(role),) for role in Role),
    (REMOVE,),
    (DISABLE,),
    (NEW_PASSWORD_STEP,),
    (WORK_ELSEWHERE,),
]


class World:
    """A project in which a maker of some role has just made a right."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.project = Project.objects.create(slug="alpha", name="Alpha")
        self.elsewhere = Project.objects.create(slug="elsewhere", name="Elsewhere")
        self.root = factories.make_user("root", is_superuser=True)
        factories.make_user("keeper", project=self.project, role=Role.ADMIN)
        self.maker = factories.make_user(
            "maker", project=self.project, role=standing.role, is_superuser=standing.is_superuser
        )
        self.subject = factories.make_user("subject", project=self.project, role=Role.EXPERT)

    def membership(self, user: User) -> Membership:
        return Membership.objects.select_related("user").get(user=user, project=self.project)


@dataclass(frozen=True)
class Right:
    """Something a person hands out or holds."""

    has_reason: Callable[[Standing, Standing], bool]
    """(standing of the maker, standing of the subject)"""
    make: Callable[[World], object]
    works: Callable[[World, object], bool]
    is_key: bool = True
    """It opens something, so a new password of the maker ends it."""


def may_start(kind: str) -> Callable[[Standing, Standing], bool]:
    return lambda maker, _subject: maker.acts_as in {*KINDS[kind].starters, Role.ADMIN}


def invitation_works(world: World, token: object) -> bool:
    page = f"/invite/{token}/"
    opens = Client().get(page).status_code == 200
    Client().post(page, NEW_ACCOUNT)
    joined = Membership.objects.filter(user__username="puppet", project=world.project).exists()
    assert opens == joined
    return joined


def reset_link_works(world: World, token: object) -> bool:
    page = f"/reset/{token}/"
    opens = Client().get(page).status_code == 200
    Client().post(page, NEW_PASSWORD)
    world.subject.refresh_from_db()
    taken = world.subject.check_password(NEW_PASSWORD["password1"])
    assert opens == taken
    return taken


def session_begins(world: World) -> Client:
    client = Client()
    client.force_login(world.maker)
    return client


def run_starts(world: World, run: Run) -> bool:
    claim = lifecycle.claim(run.pk, slot=f"test/{uuid.uuid4()}", queue=run.queue)
    run.refresh_from_db()
    if claim is None:
        assert (run.state, run.error_code) == (RunState.CANCELLED, "run.right_ended")
        assert "maker" in run.error_message
        assert not Outbox.objects.filter(run=run).exists()
    return claim is not None


def make_import_run(world: World) -> Run:
    return factories.start_import(world.project, world.maker).run


def later_step_starts(world: World, run: Run) -> bool:
    """The step before it ends well, whoever's right has ended meanwhile."""
    first = run.plan.runs.get(step_id="first")
    if first.state == RunState.QUEUED:
        claim = lifecycle.claim(first.pk, slot=f"test/{uuid.uuid4()}", queue=first.queue)
        if claim is None:
            run.refresh_from_db()
            # At the claim the first step fails by its own code, the later one by what came before.
            assert run.error_code in {"run.right_ended", "plan.step_not_reached"}
            return False
        Run.objects.filter(pk=run.pk).update(state=RunState.QUEUED)
    return run_starts(world, run)


RIGHTS = {
    "invitation": Right(
        lambda maker, _subject: maker.acts_as == Role.ADMIN,
        lambda world: services.invite_create(
            actor=world.maker, project=world.project, role=Role.ADMIN
        ),
        invitation_works,
    ),
    "reset link": Right(
        lambda maker, subject: subject.is_managed_by(maker),
        lambda world: services.password_reset_create(actor=world.maker, user=world.subject),
        reset_link_works,
    ),
    "session": Right(
        lambda maker, _subject: maker.is_active,
        session_begins,
        lambda _world, client: client.get("/account/").status_code == 200,
    ),
    "queued run": Right(
        may_start("evaluate"),
        lambda world: factories.make_run(world.project, world.maker),
        run_starts,
        is_key=False,
    ),
    "queued import": Right(
        may_start("import_dataset"), make_import_run, run_starts, is_key=False
    ),
    "later step of a plan": Right(
        may_start("evaluate"),
        lambda world: factories.make_plan(world.project, world.maker).runs.get(step_id="second"),
        later_step_starts,
        is_key=False,
    ),
}  # fmt: skip


def differs(
    right: Right, role: str, steps: tuple[Step, ...], *, of: str, by_rows: bool = False
) -> bool | None:
    """Whether the right works when it should not, or not when it should; None: not made at all."""
    standing, subject = standing_of(role), SUBJECT
    pairs = [(standing, subject)]
    world = World(standing)
    if not right.has_reason(standing, subject):
        if right.is_key:
            with pytest.raises(PermissionDenied), transaction.atomic():
                right.make(world)
            return None
        return right.works(world, right.make(world))
    made = right.make(world)
    for step in steps:
        person = world.maker if of == "maker" else world.subject
        person.refresh_from_db()
        (step.by_rows if by_rows else step.by_service)(world, person)
        if of == "maker":
            standing = step.after(standing)
        else:
            subject = step.after(subject)
        pairs.append((standing, subject))
    expected = all(right.has_reason(*pair) for pair in pairs) and not (
        right.is_key and any(step.is_new_password for step in steps)
    )
    return right.works(world, made) != expected


def wrong_cells(right: str, role: str, events, **how) -> list[str]:
    wrong = []
    if not RIGHTS[right].has_reason(standing_of(role), SUBJECT):
        events = [()]  # it cannot be made, so nothing can happen to it
    for steps in events:
        with transaction.atomic():
            if differs(RIGHTS[right], role, steps, **how):
                wrong.append(f"{right} of {role}: {', then '.join(step.name for step in steps)}")
            transaction.set_rollback(True)
    return wrong


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("right", RIGHTS)
def test_a_right_ends_with_its_reason_and_does_not_come_back(db, right: str, role: str) -> None:
    events = EVENTS + there_and_back(standing_of(role))
    assert wrong_cells(right, role, events, of="maker") == []


@pytest.mark.parametrize("role", [Role.ADMIN, "superuser"])
def test_a_reset_link_ends_with_the_right_over_the_account(db, role: str) -> None:
    events = EVENTS + there_and_back(SUBJECT)
    assert wrong_cells("reset link", role, events, of="subject") == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("right", RIGHTS)
def test_the_reason_is_asked_at_the_use_whatever_the_services_did(db, right, role) -> None:
    events = [steps for steps in EVENTS if all(step.by_rows for step in steps)]
    assert wrong_cells(right, role, events, of="maker", by_rows=True) == []
    if right == "reset link":
        assert wrong_cells(right, role, events, of="subject", by_rows=True) == []


@pytest.mark.parametrize("how", ["setup", "demonstration", "rows"])
def test_a_setup_link_ends_when_there_is_an_administrator(db, how: str) -> None:
    token = services.setup_token_create()
    page = f"/setup/{token}/"
    assert Client().get(page).status_code == 200
    if how == "rows":
        factories.make_user("root", is_superuser=True)
    else:
        services.user_create_admin(username="chenwei", password=PASSWORD)
    assert Client().post(page, NEW_ACCOUNT).status_code == 404
    if how == "demonstration":  # its administrator is disabled afterwards, as the page advises
        User.objects.update(is_active=False)
        assert Client().post(page, NEW_ACCOUNT).status_code == 404
    assert not User.objects.filter(username="puppet").exists()


@pytest.mark.parametrize("change", ["demoted", "ended", "used", "too late"])
def test_a_link_that_was_found_is_asked_again_when_it_is_used(db, change: str) -> None:
    """Between the page's question and the use lie a form and the hash of a password."""
    world = World(standing_of(Role.ADMIN))
    token = services.invite_create(actor=world.maker, project=world.project, role=Role.ADMIN)
    link = link_find(purpose=OneTimeLink.Purpose.INVITE, token=token)
    if change == "demoted":
        Membership.objects.filter(user=world.maker).update(role=Role.EXPERT)
    else:
        OneTimeLink.objects.update(
            **{
                "ended": {"ended_at": timezone.now()},
                "used": {"used_at": timezone.now()},
                "too late": {"expires_at": timezone.now() - timedelta(seconds=1)},
            }[change]
        )
    with pytest.raises(ValidationError), transaction.atomic():
        services.invite_accept_new(link=link, username="puppet", password=PASSWORD)
    assert not User.objects.filter(username="puppet").exists()


def test_what_ended_stands_in_the_audit_line_of_the_change(db) -> None:
    world = World(standing_of(Role.ADMIN))
    services.invite_create(actor=world.maker, project=world.project, role=Role.EXPERT)
    services.password_reset_create(actor=world.maker, user=world.subject)
    run = factories.make_run(world.project, world.maker)
    services.membership_set_role(
        actor=world.root, membership=world.membership(world.maker), role=Role.EXPERT
    )
    line = AuditEvent.objects.get(action="membership.set_role")
    assert line.details == {"before": "admin", "after": "expert", "links": 2, "runs": 1}
    ended = AuditEvent.objects.get(action="run.right_ended")
    assert (ended.target_id, ended.actor, ended.details) == (
        str(run.pk), None, {"started_by": "maker"},
    )  # fmt: skip


def test_a_running_run_goes_on_and_is_asked_about_when_it_is_queued_again(db) -> None:
    world = World(standing_of(Role.ENGINEER))
    run = factories.make_run(world.project, world.maker)
    claim = lifecycle.claim(run.pk, slot="test/0", queue=run.queue)
    services.user_disable(actor=world.root, user=world.maker)
    assert lifecycle.renew(run.pk, claim.attempt)
    assert lifecycle.attempt_lost(run.pk, claim.attempt, message="died")
    run.refresh_from_db()
    assert run.state == RunState.QUEUED
    assert not run_starts(world, run)


def test_somebody_else_can_go_on_with_a_plan_whose_starter_left(db) -> None:
    world = World(standing_of(Role.ENGINEER))
    plan = factories.make_plan(world.project, world.maker)
    services.membership_remove(actor=world.root, membership=world.membership(world.maker))
    steps = plan.runs.order_by("step_id").values_list("state", "error_code")
    assert list(steps) == [(RunState.CANCELLED, "run.right_ended")] * 2
    engineer = factories.make_user("next", project=world.project, role=Role.ENGINEER)
    plan_restart(plan=plan, actor=engineer)
    first = plan.runs.current_steps().get(step_id="first")
    assert run_starts(world, first)


def test_a_run_that_a_person_cancelled_keeps_their_word(db) -> None:
    world = World(standing_of(Role.ENGINEER))
    run = run_cancel(run=factories.make_run(world.project, world.maker), actor=world.maker)
    services.user_disable(actor=world.root, user=world.maker)
    assert lifecycle.claim(run.pk, slot="test/0", queue=run.queue) is None
    run.refresh_from_db()
    assert run.error_code == ""


def test_every_kind_that_expert_or_engineer_may_start_is_one_that_a_page_lets_them_start() -> None:
    """The kinds' own word is what the worker asks; the pages' roles are in test_pages.PAGES."""
    from tests.web.test_pages import PAGES

    pages = {
        "preview_dataset": "datasets:upload",
        "import_dataset": "datasets:upload",
        "revise_dataset": "revisions:changes",
        "compare_versions": "revisions:changes",
        "import_checkpoint": "registry:import",
        "check_dataset": "quality:check",
        "mask_dataset": "quality:clean",
        "preview_tokens": "quality:clean",  # its own page shows earlier previews to everybody
    }
    for kind in KINDS.values():
        allowed = set(PAGES[pages.get(kind.name, "launch:run")].allowed)
        assert {*kind.starters, "admin", "superuser"} == allowed
