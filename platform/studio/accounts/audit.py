"""The audit log: every change of something shared says who made it."""

from collections.abc import Mapping

from django.db import models, transaction

from studio.accounts.audit_actions import audit_actions
from studio.accounts.models import AuditEvent, Project, User


def audit_record(
    *,
    actor: User | None,
    action: str,
    target: models.Model,
    details: Mapping[str, object] | None = None,
    project: Project | None = None,
) -> AuditEvent:
    """One line is added to the audit log, in the transaction of the action itself.

    Args:
        actor: Who acts; None for the system.
        action: A key of the `audit_actions` of some app's AppConfig, such as "project.create".
        target: What is acted upon.
        details: What else a reader needs, such as the values before and after; JSON only.
        project: Where the line is shown; by default the target itself or its `project`.

    Raises:
        ValueError: no app declares `action`.
        RuntimeError: there is no transaction, so the line could outlive an action that failed.
    """
    if action not in audit_actions():
        raise ValueError(f"unknown audit action {action!r}: add it to `audit_actions` in apps.py")
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(f"audit_record({action!r}) outside the action's transaction")
    if project is None:
        project = target if isinstance(target, Project) else getattr(target, "project", None)
    return AuditEvent.objects.create(
        actor=actor,
        actor_name=actor.username if actor else "system",
        action=action,
        project=project,
        target_type=target._meta.label_lower,
        target_id=str(target.pk),
        target_name=str(target)[:200],
        details=dict(details or {}),
    )
