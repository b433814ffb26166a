"""Signing in and the other account pages, through HTTP."""

import re
import time

import pytest

from studio.accounts import services, sessions
from studio.accounts.models import AuditEvent, Membership, OneTimeLink, Role, User

PASSWORD = "seven green kilns"


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def admin(factories, project):
    return factories.make_user("admin", project=project, role=Role.ADMIN)


@pytest.fixture
def lina(factories, project):
    user = factories.make_user("lina", project=project, role=Role.EXPERT)
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in_as(client, username: str, password: str, address: str = "10.0.0.1", **extra):
    return client.post(
        "/sign-in/", {"username": username, "password": password, **extra}, REMOTE_ADDR=address
    )


def test_signing_in_leads_to_the_page_that_was_asked_for(client, lina) -> None:
    asked = client.get("/p/alpha/members/")
    assert asked["Location"] == "/sign-in/?next=/p/alpha/members/"
    answer = sign_in_as(client, "lina", PASSWORD, next="/p/alpha/members/")
    assert answer["Location"] == "/p/alpha/members/"
    assert client.get("/p/alpha/members/").status_code == 200
    assert AuditEvent.objects.get().details == {"address": "10.0.0.1"}


def test_signing_in_does_not_lead_to_other_sites(client, lina) -> None:
    answer = sign_in_as(client, "lina", PASSWORD, next="https://evil.example/")
    assert answer["Location"] == "/"


def test_the_session_key_changes_at_sign_in(client, lina) -> None:
    session = client.session
    session["before"] = "1"
    session.save()
    before = session.session_key
    sign_in_as(client, "lina", PASSWORD)
    assert client.session.session_key != before


def test_language_and_theme_of_the_account_come_with_the_sign_in(client, lina) -> None:
    lina.language, lina.theme = "en", "dark"
    lina.save()
    sign_in_as(client, "lina", PASSWORD)
    html = client.get("/account/").content.decode()
    assert '<html lang="en" data-theme="dark" data-bs-theme="dark">' in html


def test_wrong_and_unknown_names_get_the_same_answer(client, lina) -> None:
    def shown(username: str) -> str:
        html = sign_in_as(client, username, "wrong").content.decode()
        return re.sub(rf"{username}|(?<=Token.: .)\w{{64}}|(?<=value=\")\w{{64}}", "", html)

    assert shown("lina") == shown("nobody")


def test_signing_out_needs_a_post(client, lina) -> None:
    client.force_login(lina)
    assert client.get("/sign-out/").status_code == 405
    client.post("/sign-out/")
    assert client.get("/account/").status_code == 302


def test_a_disabled_account_is_out_at_once_and_cannot_return(client, lina, admin) -> None:
    client.force_login(lina)
    assert client.get("/account/").status_code == 200
    services.user_disable(actor=admin, user=lina)
    assert client.get("/account/").status_code == 302
    assert sign_in_as(client, "lina", PASSWORD).status_code == 200


def test_a_role_change_counts_from_the_next_request(client, lina, admin) -> None:
    client.force_login(lina)
    assert client.get("/p/alpha/audit/").status_code == 403
    services.membership_set_role(actor=admin, membership=lina.memberships.get(), role=Role.ADMIN)
    assert client.get("/p/alpha/audit/").status_code == 200


def test_sessions_end_after_eight_idle_hours(client, lina) -> None:
    client.force_login(lina)
    client.get("/account/")
    session = client.session
    session["seen_at"] = int(time.time()) - sessions.IDLE_SECONDS + 60
    session.save()
    assert client.get("/account/").status_code == 200
    assert client.session["seen_at"] >= time.time() - 60
    session = client.session
    session["seen_at"] = int(time.time()) - sessions.IDLE_SECONDS - 60
    session.save()
    assert client.get("/account/").status_code == 302


def test_setup_page_makes_the_first_administrator(client, db) -> None:
    token = services.setup_token_create()
    page = f"/setup/{token}/"
    assert client.get(page).status_code == 200
    weak = client.post(page, {"username": "chenwei", "password1": "short", "password2": "short"})
    assert weak.status_code == 200
    assert not User.objects.exists()
    done = client.post(page, {"username": "陈伟", "password1": PASSWORD, "password2": PASSWORD})
    assert done["Location"] == "/projects/new/"
    assert client.get(page).status_code == 404
    client.post("/projects/new/", {"name": "国资问答", "slug": "soae"})
    assert Membership.objects.get().user.username == "陈伟"
    taken = client.post("/projects/new/", {"name": "again", "slug": "soae"})
    assert taken.status_code == 400


def test_invitation_from_the_members_page_to_the_home_page(client, admin, project) -> None:
    client.force_login(admin)
    shown = client.post("/p/alpha/members/invite/", {"role": "engineer", "note": "王"})
    address = re.search(r'value="(http://testserver/invite/[^"]+)"', shown.content.decode())[1]
    assert address not in client.get("/p/alpha/members/").content.decode()
    client.logout()
    taken = client.post(
        address, {"username": "ADMIN", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert taken.status_code == 200
    form = {"username": "wang", "password1": PASSWORD, "password2": PASSWORD}
    assert client.post(address, form)["Location"] == "/p/alpha/"
    assert client.get("/p/alpha/").status_code == 200
    assert client.get(address).status_code == 404


def test_invitation_for_somebody_who_has_an_account(client, admin, project, factories) -> None:
    token = services.invite_create(actor=admin, project=project, role=Role.REVIEWER)
    user = factories.make_user("zhao")
    client.force_login(user)
    assert "zhao" in client.get(f"/invite/{token}/").content.decode()
    assert client.post(f"/invite/{token}/")["Location"] == "/p/alpha/"
    assert user.memberships.get().role == Role.REVIEWER


def test_withdrawn_invitation_does_not_work(client, admin, project) -> None:
    token = services.invite_create(actor=admin, project=project, role=Role.EXPERT)
    client.force_login(admin)
    link = OneTimeLink.objects.get()
    client.post(f"/p/alpha/members/invitations/{link.pk}/revoke/")
    client.logout()
    assert client.get(f"/invite/{token}/").status_code == 404


def test_reset_link_from_the_members_page_to_the_sign_in(client, admin, lina) -> None:
    client.force_login(admin)
    membership = lina.memberships.get()
    shown = client.post(f"/p/alpha/members/{membership.pk}/reset/").content.decode()
    address = re.search(r'value="(http://testserver/reset/[^"]+)"', shown)[1]
    client.logout()
    new = {"password1": "eight blue kilns", "password2": "eight blue kilns"}
    assert client.post(address, new)["Location"] == "/sign-in/"
    assert sign_in_as(client, "lina", "eight blue kilns").status_code == 302
    assert client.get(address).status_code == 404


def test_last_administrator_is_told_why_they_cannot_go(client, admin, project) -> None:
    client.force_login(admin)
    membership = admin.memberships.get()
    answer = client.post(f"/p/alpha/members/{membership.pk}/remove/", follow=True)
    assert "请先指定另一位管理员" in answer.content.decode()
    assert Membership.objects.filter(pk=membership.pk).exists()


def test_own_password_needs_the_old_one_and_ends_other_sessions(client, lina) -> None:
    from django.test import Client

    other = Client()
    other.force_login(lina)
    client.force_login(lina)
    new = {"password1": "eight blue kilns", "password2": "eight blue kilns"}
    refused = client.post("/account/", {"old_password": "wrong", **new})
    assert refused.status_code == 200
    assert "当前密码不正确" in refused.content.decode()
    assert client.post("/account/", {"old_password": PASSWORD, **new}).status_code == 302
    assert client.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302


def test_form_errors_are_listed_first_and_tied_to_their_fields(client, lina) -> None:
    client.force_login(lina)
    html = client.post("/account/", {}).content.decode()
    assert html.index('id="form-errors"') < html.index('id="id_old_password"')
    assert '<a href="#id_password1">' in html
    widget = re.search(r'<input[^>]*id="id_password1"[^>]*>', html)[0]
    assert 'aria-invalid="true"' in widget
    described = re.search(r'aria-describedby="([^"]+)"', widget)[1].split()
    assert {f'id="{name}"' in html for name in described} == {True}
    assert "id_password1_error" in described


def test_preferences_are_kept_with_the_account(client, lina) -> None:
    client.force_login(lina)
    client.post("/preferences/", {"language": "en", "theme": "dark", "next": "/account/"})
    client.post("/preferences/", {"language": "tlh", "theme": "neon"})
    lina.refresh_from_db()
    assert (lina.language, lina.theme) == ("en", "dark")
