"""The audit log grows and nothing else."""

import importlib

import pytest
from django.db import DatabaseError, connection, transaction

from studio.accounts.audit import audit_record
from studio.accounts.models import AuditEvent, Role

pytestmark = pytest.mark.postgres

triggers = importlib.import_module("studio.accounts.migrations.0002_audit_append_only")


@pytest.fixture
def event(factories) -> AuditEvent:
    project = factories.make_project()
    actor = factories.make_user("chenwei", project=project, role=Role.ADMIN)
    return audit_record(actor=actor, action="project.create", target=project)


def test_a_line_names_who_what_and_where(event: AuditEvent) -> None:
    assert (event.actor_name, event.action, event.project.slug) == (
        "chenwei",
        "project.create",
        "alpha",
    )
    assert (event.target_type, event.target_name) == ("accounts.project", "Alpha")


def test_models_and_querysets_refuse_to_change_it(event: AuditEvent) -> None:
    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(TypeError):
        event.delete()
    with pytest.raises(TypeError):
        AuditEvent.objects.update(actor_name="nobody")
    with pytest.raises(TypeError):
        AuditEvent.objects.all().delete()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE accounts_auditevent SET actor_name = 'nobody'", "DELETE FROM accounts_auditevent"],
)
def test_the_database_refuses_too(event: AuditEvent, statement: str) -> None:
    with connection.schema_editor() if connection.vendor == "postgresql" else _editor() as editor:
        triggers.add_triggers(None, editor)
    with (
        connection.cursor() as cursor,
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
    ):
        cursor.execute(statement)
    assert AuditEvent.objects.get().actor_name == "chenwei"


class _editor:  # noqa: N801 (stands for a schema editor)
    """SQLite's schema editor cannot work inside the test's transaction; the statements can."""

    connection = connection

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        return None

    def execute(self, statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)


def test_an_action_that_fails_leaves_no_line(factories) -> None:
    project = factories.make_project()

    @transaction.atomic
    def act() -> None:
        audit_record(actor=None, action="project.create", target=project)
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        act()
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_line_outside_a_transaction_is_refused(factories) -> None:
    project = factories.make_project()
    with pytest.raises(RuntimeError, match="outside"):
        audit_record(actor=None, action="project.create", target=project)


def test_unknown_actions_are_refused(factories) -> None:
    with pytest.raises(ValueError, match=r"project\.explode"):
        audit_record(actor=None, action="project.explode", target=factories.make_project())


def test_only_administrators_of_the_project_read_its_lines(event, factories) -> None:
    admin = event.actor
    engineer = factories.make_user("wang", project=event.project, role=Role.ENGINEER)
    elsewhere = factories.make_user(
        "else", project=factories.make_project("other", "Other"), role=Role.ADMIN
    )
    assert list(AuditEvent.objects.for_user(admin)) == [event]
    assert not AuditEvent.objects.for_user(engineer)
    assert not AuditEvent.objects.for_user(elsewhere)


def test_the_page_shows_lines_newest_first_in_pages(client, event, factories) -> None:
    for number in range(60):
        audit_record(
            actor=event.actor,
            action="project.create",
            target=event.project,
            details={"number": f"n{number:02}"},
        )
    client.force_login(event.actor)
    first = client.get("/p/alpha/audit/").content.decode()
    assert "n59" in first
    assert "n10" in first
    assert "n09" not in first
    second = client.get(f"/p/alpha/audit/?before={event.pk + 11}").content.decode()
    assert "n09" in second
    assert "n10" not in second
    assert "?after=" in second
    assert client.get("/p/alpha/audit/?before=abc&after=-1").status_code == 200
