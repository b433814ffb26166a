"""What the frame around every page shows: navigation, project switcher, language and theme."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from studio.accounts.models import Project, Role, Theme
from studio.runs.models import Worker

# (namespace, page, label, icon, roles that see it; empty for all)
_ENTRIES = (
    ("home", "index", _("Home"), "home", ()),
    ("datasets", "index", _("Data sets"), "database", ()),
    ("registry", "index", _("Checkpoints"), "box", ()),
    ("runs", "index", _("Runs"), "player-play", ()),
    ("evaluations", "index", _("Dashboards"), "chart-bar", ()),
    ("comparisons", "index", _("Compare"), "arrows-left-right", ()),
    ("runs", "workers", _("Workers"), "device-desktop", (Role.ENGINEER, Role.ADMIN)),
    ("accounts", "members", _("Members"), "users", ()),
    ("accounts", "audit", _("Audit"), "list-details", (Role.ADMIN,)),
    ("storage", "index", _("Disk"), "trash", (Role.ADMIN,)),
)
_OWN_ENTRIES = {(namespace, page) for namespace, page, *_rest in _ENTRIES}
# Pages without an entry of their own, and the entry they are reached from.
_SECTIONS = {
    "launch": "runs",
    "published": "evaluations",
    "quality": "datasets",
    "revisions": "datasets",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NavigationEntry:
    label: str
    icon: str
    url: str
    is_current: bool


def frame(request: HttpRequest) -> dict[str, object]:
    """Context of base.html for every page."""
    project: Project | None = getattr(request, "project", None)
    user = getattr(request, "user", None)
    theme = user.theme if user and user.is_authenticated else request.COOKIES.get("theme", "")
    return {
        "project": project,
        "role": getattr(request, "role", None),
        "navigation": navigation(request, project) if project else [],
        "my_projects": SimpleLazyObject(
            lambda: list(Project.objects.for_user(user)) if user and user.is_authenticated else []
        ),
        # Asked for by base.html only, which fragments do not have.
        "has_unconfined_runs": lambda: bool(
            user
            and user.is_authenticated
            and (
                settings.STUDIO_ISOLATION == "off" or Worker.objects.present().unconfined().exists()
            )
        ),
        "theme": theme if theme in Theme.values else Theme.AUTO.value,
        "html_lang": "zh-Hans" if get_language() == "zh-hans" else "en",
    }


def navigation(request: HttpRequest, project: Project) -> list[NavigationEntry]:
    """The pages of `project` that the sender's role may open."""
    match = request.resolver_match
    here = (match.namespace, match.url_name) if match else ("", "")
    section = _SECTIONS.get(here[0], here[0])
    return [
        NavigationEntry(
            label=str(label),
            icon=icon,
            url=reverse(f"{namespace}:{page}", args=[project.slug]),
            is_current=here == (namespace, page)
            or (page == "index" and section == namespace and here not in _OWN_ENTRIES),
        )
        for namespace, page, label, icon, roles in _ENTRIES
        if not roles or getattr(request, "role", None) in roles
    ]
