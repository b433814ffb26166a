"""Guessing is slow, from wherever it comes, and nobody can keep somebody else out by it."""

import random
import re
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory
from django.utils import timezone

from studio.accounts import services, sign_in
from studio.accounts.models import AuditEvent, Role, SignInFailure
from studio.accounts.sign_in import TooManyFailuresError, sign_in_attempt
from studio.accounts.visitors import Visitor, visitor_of
from studio.environment import read_environment

PASSWORD = "seven green kilns"
HOME = "203.0.113.7"
PROXY = "10.0.0.2"


@pytest.fixture
def lina(factories):
    user = factories.make_user("lina", project=factories.make_project(), role=Role.EXPERT)
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def clock(monkeypatch):
    """Moves `django.utils.timezone.now` by seconds."""
    now = [timezone.now()]
    monkeypatch.setattr(timezone, "now", lambda: now[0])

    def forward(seconds: float) -> datetime:
        now[0] += timedelta(seconds=seconds)
        return now[0]

    return forward


def post(client: Client, password: str, *, username: str = "lina", address: str = HOME, **headers):
    form = {"username": username, "password": password}
    return client.post("/sign-in/", form, REMOTE_ADDR=address, headers=headers or None)


def gets_in(client: Client, **how) -> bool:
    return post(client, PASSWORD, **how).status_code == 302


def known_browser() -> Client:
    """Somebody signed in here once and out again."""
    client = Client()
    assert gets_in(client, address="198.51.100.1")
    client.post("/sign-out/")
    return client


def strangers_fail(number: int, *, username: str = "lina", sources: int = 1) -> None:
    SignInFailure.objects.bulk_create(
        SignInFailure(username=username, address=f"192.0.2.{index % sources}", device="")
        for index in range(number)
    )


def test_wrong_passwords_make_the_next_attempt_wait_longer_and_longer(client, lina, clock) -> None:
    for _ in range(sign_in.FREE_FAILURES):
        assert post(client, "wrong").status_code == 200
    waits = []
    for _ in range(10):
        refused = post(client, PASSWORD)
        assert refused.status_code == 200
        with pytest.raises(TooManyFailuresError) as caught, attempt():
            raise AssertionError("the password was looked at")
        waits.append(caught.value.seconds)
        clock(waits[-1])
        post(client, "wrong")
    assert waits[:8] == [2, 3, 5, 9, 17, 33, 65, 129]
    assert waits[8:] == [257, sign_in.LONGEST_WAIT.total_seconds() + 1]
    clock(sign_in.LONGEST_WAIT.total_seconds() + 1)
    assert gets_in(client)


def attempt(username: str = "lina", source: str = HOME, device: str = "", own: bool = True):
    visitor = Visitor(address=source, source=source, is_own_address=own)
    return sign_in_attempt(username=username, visitor=visitor, device=device)


def test_the_page_says_how_long_and_what_else_helps(client, lina) -> None:
    for _ in range(sign_in.FREE_FAILURES):
        post(client, "wrong")
    html = post(client, PASSWORD, **{"accept-language": "en"}).content.decode()
    assert re.search(r"Try again in [12] seconds?\. A browser that has signed in", html)
    assert "reset link" in html


def test_a_refused_attempt_counts_nothing_and_fills_no_log(client, lina) -> None:
    for _ in range(sign_in.FREE_FAILURES + 20):
        post(client, "wrong")
    assert SignInFailure.objects.count() == sign_in.FREE_FAILURES
    assert AuditEvent.objects.get().action == "user.lock_out"


def test_attempts_at_once_are_not_more_guesses(db) -> None:
    """None of them has failed yet when the next one asks."""
    with ExitStack() as stack:
        admitted = 0
        for _ in range(3 * sign_in.FREE_FAILURES):
            try:
                stack.enter_context(attempt())
            except TooManyFailuresError:
                continue
            admitted += 1
    assert admitted == sign_in.FREE_FAILURES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sources", "names", "at_most"),
    [(1, 1, 70), (40, 1, 300), (1, 40, 240)],
    ids=["one address, one name", "many addresses, one name", "one address, many names"],
)
def test_the_fastest_guesser_gets_few_guesses_in_an_hour(
    db, clock, sources: int, names: int, at_most: int
) -> None:
    """Somebody who always tries again at the first moment that could be looked at."""
    clock(0)
    end = timezone.now() + timedelta(hours=1)
    guesses, turn = 0, 0
    while timezone.now() < end and guesses <= at_most:
        waits = []
        for _ in range(sources * names):
            turn += 1
            source, name = f"192.0.2.{turn % sources}", f"name-{turn % names}"
            try:
                with attempt(name, source):
                    raise ValueError
            except ValueError:
                guesses += 1
            except TooManyFailuresError as error:
                waits.append(error.seconds)
            if waits:
                break
        clock(min(waits, default=0))
    assert guesses <= at_most


@pytest.mark.parametrize("sources", [1, 250])
def test_strangers_cannot_keep_out_who_has_signed_in_here_before(lina, sources: int) -> None:
    """Even from the same address: behind a proxy that nobody configured, all share one."""
    browser = known_browser()
    strangers_fail(1000, sources=sources)
    assert gets_in(browser, address="192.0.2.0")


def test_strangers_cannot_keep_out_who_comes_from_another_address(client, lina) -> None:
    strangers_fail(1000, sources=250)
    assert gets_in(client, address=HOME)


def test_a_reset_link_makes_the_browser_known(client, lina, factories) -> None:
    """The remedy for a new browser at an address from which strangers guess."""
    strangers_fail(1000)
    assert not gets_in(client, address="192.0.2.0")
    admin = factories.make_user("root", is_superuser=True)
    token = services.password_reset_create(actor=admin, user=lina)
    client.post(f"/reset/{token}/", {"password1": PASSWORD, "password2": PASSWORD})
    assert gets_in(client, address="192.0.2.0")


def test_a_known_browser_is_counted_too(lina) -> None:
    browser = known_browser()
    for _ in range(sign_in.FREE_FAILURES):
        post(browser, "wrong")
    assert not gets_in(browser)
    assert gets_in(Client(), address="198.51.100.9")


@pytest.mark.parametrize("how", ["another name", "made up", "of another installation"])
def test_a_device_cookie_is_good_for_its_own_name_and_installation(
    lina, factories, settings, how: str
) -> None:
    browser = known_browser()
    username = "lina"
    if how == "another name":
        other = factories.make_user("zhao")
        other.set_password(PASSWORD)
        other.save()
        username = "zhao"
    elif how == "made up":
        browser.cookies["device"] = 'eyIxIjoiYSJ9:1tQ:x"'
    else:
        settings.SECRET_KEY = "another key of another installation"
    strangers_fail(1000, username=username)
    assert not gets_in(browser, username=username, address="192.0.2.0")


def test_the_device_cookie_is_out_of_reach_and_renewed(lina) -> None:
    browser = known_browser()
    cookie = browser.cookies["device"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    before = cookie.value
    assert gets_in(browser)
    assert browser.cookies["device"].value != before


def test_success_forgets_the_failures_of_this_browser_only(client, lina) -> None:
    strangers_fail(3)
    for _ in range(sign_in.FREE_FAILURES - 1):
        post(client, "wrong")
    assert gets_in(client)
    assert SignInFailure.objects.count() == 3


def source_of(remote: str, forwarded: str | None) -> Visitor:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    return visitor_of(RequestFactory().get("/", headers=headers, REMOTE_ADDR=remote))


def test_whatever_a_visitor_writes_into_the_header_they_are_counted_as_themselves(settings) -> None:
    settings.STUDIO_TRUSTED_PROXIES = [f"{PROXY}/31", "fd00::/8", "unix"]
    rng = random.Random(8)
    words = [HOME, "127.0.0.1", PROXY, "10.0.0.3", "fd00::1", "::1", "unknown", "", " ", "x" * 3000]
    words += ["1.2.3.4:80", "[::1]", "0x7f.1", "999.1.1.1", "::ffff:10.0.0.2", "\u0661.2.3.4", "-"]
    visitors = ["203.0.113.9", "2001:db8:1:2:3:4:5:6", "192.0.2.1"]
    proxies = ["10.0.0.2", "10.0.0.3", "fd00::7", "::ffff:10.0.0.3"]
    for _ in range(500):
        written = [rng.choice(words) for _ in range(rng.randrange(5))]
        truth = rng.choice(visitors)
        hops = [rng.choice(proxies) for _ in range(rng.randrange(3))]
        through = ", ".join([*written, truth, *hops])
        visitor = source_of(rng.choice([*proxies, ""]), through)
        assert (visitor.address, visitor.is_own_address) == (truth, True)
        direct = source_of(truth, ", ".join(written))
        assert (direct.address, direct.is_own_address) == (truth, True)


def test_the_many_addresses_of_one_ipv6_visitor_are_one() -> None:
    sources = {source_of(f"2001:db8:0:7::{number:x}", None).source for number in range(1, 9)}
    assert sources == {"2001:db8:0:7::/64"}
    assert source_of("::ffff:192.0.2.1", None).source == "192.0.2.1"


def test_behind_a_proxy_that_nobody_named_the_address_itself_slows_nobody(client, lina) -> None:
    """All visitors share it: one who guesses many names there must not stop the others."""
    assert not source_of("127.0.0.1", "203.0.113.9").is_own_address
    for number in range(sign_in.FREE_FAILURES_PER_SOURCE + 5):
        strangers_fail(1, username=f"name-{number}")
    through = {"x-forwarded-for": HOME}
    assert gets_in(client, address="192.0.2.0", **through)
    client.post("/sign-out/")
    assert not gets_in(Client(), address="192.0.2.0")


def test_with_the_proxy_named_visitors_behind_it_are_told_apart(client, lina, settings) -> None:
    settings.STUDIO_TRUSTED_PROXIES = [PROXY]
    for _ in range(sign_in.FREE_FAILURES + 5):
        post(client, "wrong", address=PROXY, **{"x-forwarded-for": f"{HOME}, 192.0.2.8"})
    assert set(SignInFailure.objects.values_list("address", flat=True)) == {"192.0.2.8"}
    assert gets_in(Client(), address=PROXY, **{"x-forwarded-for": HOME})
    assert AuditEvent.objects.last().details == {"address": HOME}


@pytest.mark.parametrize("value", ["10.0.0.1/24", "0.0.0.0/0", "::/0", "nginx", "*", "10.0.0.0/33"])
def test_unusable_proxies_are_refused_by_name(tmp_path, monkeypatch, value: str) -> None:
    monkeypatch.setenv("STUDIO_TRUSTED_PROXIES", value)
    with pytest.raises(ImproperlyConfigured, match="STUDIO_TRUSTED_PROXIES"):
        read_environment(tmp_path)


def test_proxies_are_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("STUDIO_TRUSTED_PROXIES", " 127.0.0.1, ::1,10.0.0.0/24 ,unix")
    expected = ("127.0.0.1", "::1", "10.0.0.0/24", "unix")
    assert read_environment(tmp_path).trusted_proxies == expected
