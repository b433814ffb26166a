"""Rows for tests: plain functions, one for each kind of thing.

`samples` names an object for every argument that appears in an address; test_pages.py uses it to
open every page, so an app that adds addresses adds its objects there.
"""

from studio.accounts.links import link_create
from studio.accounts.models import Membership, OneTimeLink, Project, Role, User


def make_project(slug="alpha", name="Alpha"):
    return Project.objects.create(slug=slug, name=name)


def make_user(username, *, project=None, role=None, is_superuser=False):
    """A user who signs in by `client.force_login`; nobody knows a password."""
    user = User(username=username, is_superuser=is_superuser)
    user.set_unusable_password()
    user.save()
    if project is not None:
        Membership.objects.create(project=project, user=user, role=role)
    return user


def samples(project):
    """Values for the arguments of addresses: things of `project`, keyed by argument name."""
    admin = make_user(f"{project.slug}-sample-admin", project=project, role=Role.ADMIN)
    member = make_user(f"{project.slug}-sample-member", project=project, role=Role.EXPERT)
    link, _token = link_create(
        purpose=OneTimeLink.Purpose.INVITE, created_by=admin, project=project, role=Role.EXPERT
    )
    return {
        "project": project.slug,
        "membership_id": member.memberships.get().pk,
        "link_id": link.pk,
        "token": "no-such-token",
    }
