"""What can stand in the audit log: each app declares the actions of its own services."""

from functools import cache

from django.apps import apps


@cache
def audit_actions() -> dict[str, str]:
    """Every action that can stand in the log, with its (lazily translated) description."""
    return {
        action: label
        for config in apps.get_app_configs()
        for action, label in getattr(config, "audit_actions", {}).items()
    }
