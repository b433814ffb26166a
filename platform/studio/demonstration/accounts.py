"""The demonstration's people: one for each role, with a password made for this installation."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from studio.accounts.links import link_find
from studio.accounts.models import Membership, OneTimeLink, Project, Role, User
from studio.accounts.services import (
    invite_accept_new,
    invite_create,
    membership_create,
    project_create,
    user_create_admin,
    user_set_password,
)

SLUG = "demo"
NAME = "示范项目 · Demonstration"
ADMIN = "demo_admin"
MEMBERS = {
    "demo_engineer": Role.ENGINEER,
    "demo_expert": Role.EXPERT,
    "demo_reviewer": Role.REVIEWER,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SignIn:
    """How a person gets into the demonstration."""

    usernames: tuple[str, ...]
    password: str


def demonstration_project() -> tuple[Project, SignIn]:
    """The project and its people; both are made when they are missing.

    There is no default password: one is drawn and kept in `<data dir>/demo/sign_in.json`, readable
    by its owner only. Without that file the accounts get a new password.
    """
    password = _stored_password()
    is_new = password is None
    if password is None:
        password = secrets.token_urlsafe(12)
    with transaction.atomic():
        admin = _account(ADMIN) or user_create_admin(username=ADMIN, password=password)
        project = Project.objects.filter(slug=SLUG).first() or project_create(
            actor=admin, slug=SLUG, name=NAME
        )
        people = [admin, *(_member(project, admin, name, password) for name in MEMBERS)]
        for user in people:
            if is_new and not user.check_password(password):
                user_set_password(user=user, password=password)
        if is_new:
            _store_password(password)
    return project, SignIn(usernames=tuple(user.username for user in people), password=password)


def _member(project: Project, admin: User, username: str, password: str) -> User:
    user = _account(username)
    if user is None:
        token = invite_create(actor=admin, project=project, role=MEMBERS[username])
        link = link_find(purpose=OneTimeLink.Purpose.INVITE, token=token)
        assert link is not None  # noqa: S101 (made the line above)
        return invite_accept_new(link=link, username=username, password=password)
    if not Membership.objects.filter(project=project, user=user).exists():
        membership_create(actor=admin, project=project, user=user, role=MEMBERS[username])
    return user


def _account(username: str) -> User | None:
    user: User | None = User.objects.filter(username=username).first()
    return user


def _sign_in_path() -> Path:
    return Path(settings.STUDIO_DATA_DIR) / "demo" / "sign_in.json"


def _stored_password() -> str | None:
    try:
        return str(json.loads(_sign_in_path().read_text(encoding="utf-8"))["password"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _store_password(password: str) -> None:
    path = _sign_in_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"usernames": [ADMIN, *MEMBERS], "password": password}, file, indent=2)
