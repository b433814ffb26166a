"""The database itself refuses to change or remove an audit line."""

from django.db import migrations

_STATEMENTS = {
    "sqlite": (
        """
        CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON accounts_auditevent
        BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END
        """,
        """
        CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON accounts_auditevent
        BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END
        """,
    ),
    "postgresql": (
        """
        CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger AS $$
        BEGIN RAISE EXCEPTION 'audit events are append-only'; END $$ LANGUAGE plpgsql
        """,
        """
        CREATE OR REPLACE TRIGGER audit_no_update BEFORE UPDATE ON accounts_auditevent
        FOR EACH ROW EXECUTE FUNCTION audit_append_only()
        """,
        """
        CREATE OR REPLACE TRIGGER audit_no_delete BEFORE DELETE ON accounts_auditevent
        FOR EACH ROW EXECUTE FUNCTION audit_append_only()
        """,
    ),
}
_TABLE = {"sqlite": "", "postgresql": " ON accounts_auditevent"}


def add_triggers(apps, schema_editor):
    for statement in _STATEMENTS[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


def drop_triggers(apps, schema_editor):
    for name in ("audit_no_update", "audit_no_delete"):
        schema_editor.execute(
            f"DROP TRIGGER IF EXISTS {name}{_TABLE[schema_editor.connection.vendor]}"
        )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_accounts")]
    operations = [migrations.RunPython(add_triggers, drop_triggers)]
