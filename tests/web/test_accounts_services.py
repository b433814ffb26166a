"""What the services of the accounts app guarantee."""

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import PermissionDenied, ValidationError

from studio.accounts import services
from studio.accounts.links import link_find
from studio.accounts.models import AuditEvent, Membership, OneTimeLink, Role, User

pytestmark = pytest.mark.postgres

PASSWORD = "seven green kilns"
Purpose = OneTimeLink.Purpose


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def admin(factories, project):
    return factories.make_user("admin", project=project, role=Role.ADMIN)


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def test_the_first_administrator_comes_by_a_link_that_works_once(db) -> None:
    token = services.setup_token_create()
    link = link_find(purpose=Purpose.SETUP, token=token)
    user = services.setup_use(link=link, username="chenwei", password=PASSWORD)
    assert user.is_superuser
    assert authenticate(username="chenwei", password=PASSWORD) == user
    assert link_find(purpose=Purpose.SETUP, token=token) is None
    with pytest.raises(ValidationError):
        services.setup_use(link=link, username="second", password=PASSWORD)
    with pytest.raises(ValidationError):
        services.setup_token_create()
    assert not User.objects.filter(username="second").exists()
    assert actions() == ["user.create_admin"]


def test_a_newer_setup_token_replaces_the_older(db) -> None:
    older, newer = services.setup_token_create(), services.setup_token_create()
    assert link_find(purpose=Purpose.SETUP, token=older) is None
    assert link_find(purpose=Purpose.SETUP, token=newer) is not None


def test_tokens_are_stored_only_as_hashes(db) -> None:
    token = services.setup_token_create()
    row = OneTimeLink.objects.values().get()
    assert len(row["token_sha256"]) == 64
    assert token not in str(row)


@pytest.mark.parametrize(
    ("purpose", "minutes"),
    [(Purpose.SETUP, 30), (Purpose.INVITE, 7 * 24 * 60), (Purpose.PASSWORD_RESET, 24 * 60)],
)
def test_links_stop_working_at_their_time(clock, admin, project, factories, purpose, minutes):
    user = factories.make_user("lina", project=project, role=Role.EXPERT)
    token = {
        Purpose.SETUP: services.setup_token_create,
        Purpose.INVITE: lambda: services.invite_create(
            actor=admin, project=project, role=Role.EXPERT
        ),
        Purpose.PASSWORD_RESET: lambda: services.password_reset_create(actor=admin, user=user),
    }[purpose]()
    clock(minutes - 1)
    assert link_find(purpose=purpose, token=token) is not None
    clock(minutes + 1)
    assert link_find(purpose=purpose, token=token) is None


@pytest.fixture
def clock(monkeypatch):
    """Sets how many minutes from now `django.utils.timezone.now` is."""
    from datetime import timedelta

    from django.utils import timezone

    start = timezone.now()

    def set_minutes(minutes: float) -> None:
        monkeypatch.setattr(timezone, "now", lambda: start + timedelta(minutes=minutes))

    return set_minutes


def test_a_link_of_one_purpose_does_not_serve_another(db, admin, project) -> None:
    token = services.invite_create(actor=admin, project=project, role=Role.EXPERT)
    assert link_find(purpose=Purpose.PASSWORD_RESET, token=token) is None


def test_weak_passwords_are_refused_and_leave_nothing_behind(db) -> None:
    for password in ("short", "password1234", "chenwei-chenwei"):
        with pytest.raises(ValidationError):
            services.user_create_admin(username="chenwei-chenwei", password=password)
    assert not User.objects.exists()
    assert not AuditEvent.objects.exists()


def test_only_administrators_of_the_installation_create_projects(db, admin, factories) -> None:
    with pytest.raises(PermissionDenied):
        services.project_create(actor=admin, slug="mine", name="Mine")
    root = factories.make_user("root", is_superuser=True)
    project = services.project_create(actor=root, slug="mine", name="Mine")
    assert project.memberships.get().role == Role.ADMIN


def test_an_invitation_brings_a_new_account_in_with_its_role(admin, project) -> None:
    token = services.invite_create(actor=admin, project=project, role=Role.ENGINEER)
    link = link_find(purpose=Purpose.INVITE, token=token)
    user = services.invite_accept_new(link=link, username="wang", password=PASSWORD)
    assert user.memberships.get().role == Role.ENGINEER
    assert link_find(purpose=Purpose.INVITE, token=token) is None


def test_an_invitation_does_not_change_the_role_somebody_has(admin, project, factories) -> None:
    reviewer = factories.make_user("zhao", project=project, role=Role.REVIEWER)
    token = services.invite_create(actor=admin, project=project, role=Role.ADMIN)
    services.invite_accept(link=link_find(purpose=Purpose.INVITE, token=token), user=reviewer)
    assert reviewer.memberships.get().role == Role.REVIEWER


def test_links_of_a_disabled_administrator_stop_working(admin, project, factories) -> None:
    token = services.invite_create(actor=admin, project=project, role=Role.ADMIN)
    services.user_disable(actor=factories.make_user("root", is_superuser=True), user=admin)
    assert link_find(purpose=Purpose.INVITE, token=token) is None


def test_a_project_keeps_an_administrator(admin, project, factories) -> None:
    membership = admin.memberships.get()
    with pytest.raises(ValidationError):
        services.membership_set_role(actor=admin, membership=membership, role=Role.EXPERT)
    with pytest.raises(ValidationError):
        services.membership_remove(actor=admin, membership=membership)
    factories.make_user("second", project=project, role=Role.ADMIN)
    services.membership_set_role(actor=admin, membership=membership, role=Role.EXPERT)
    assert Membership.objects.get(user=admin).role == Role.EXPERT
    assert AuditEvent.objects.get().details == {"before": "admin", "after": "expert"}


@pytest.mark.parametrize(
    "service", [services.user_disable, services.user_enable, services.password_reset_create]
)
def test_whom_an_administrator_manages(service, admin, project, factories) -> None:
    """Taking over an account that also works elsewhere would open other projects."""
    colleague = factories.make_user("colleague", project=project, role=Role.EXPERT)
    also_elsewhere = factories.make_user("both", project=project, role=Role.EXPERT)
    other = factories.make_project("other", "Other")
    Membership.objects.create(project=other, user=also_elsewhere, role=Role.EXPERT)
    stranger = factories.make_user("stranger", project=other, role=Role.EXPERT)
    root = factories.make_user("root", project=project, role=Role.EXPERT, is_superuser=True)
    service(actor=admin, user=colleague)
    for user in (also_elsewhere, stranger, root, admin):
        with pytest.raises(PermissionDenied):
            service(actor=admin, user=user)
    for user in (also_elsewhere, stranger, admin):
        service(actor=root, user=user)
    with pytest.raises(PermissionDenied):
        service(actor=colleague, user=stranger)


def test_a_reset_link_sets_the_password_once(admin, project, factories) -> None:
    user = factories.make_user("lina", project=project, role=Role.EXPERT)
    older = services.password_reset_create(actor=admin, user=user)
    newer = services.password_reset_create(actor=admin, user=user)
    assert link_find(purpose=Purpose.PASSWORD_RESET, token=older) is None
    link = link_find(purpose=Purpose.PASSWORD_RESET, token=newer)
    services.password_reset_use(link=link, password=PASSWORD)
    assert authenticate(username="lina", password=PASSWORD) == user
    with pytest.raises(ValidationError):
        services.password_reset_use(link=link, password="another long one")
    assert authenticate(username="lina", password=PASSWORD) == user
