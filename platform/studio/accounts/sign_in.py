"""Signing in, and slowing down those who guess.

Failures of the last `WINDOW` are counted; beyond a free number each attempt has to wait, twice as
long as the one before. Nobody is locked out by others:

    a known browser      counted by its device cookie alone, whatever strangers do to the name
    an unknown browser   counted by name and source, by name, and by source

A source from which nobody has failed for the name yet has one attempt even while the name is slowed
down: a stranger who wants to keep a person out would have to guess from that person's own address.
What is paid for it: somebody with many addresses has one guess for each of them and `WINDOW`.

An attempt is entered before its password is looked at and counts only what was entered before it,
so that a hundred attempts at once are not a hundred guesses.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from studio.accounts.audit import audit_record
from studio.accounts.models import SignInFailure, User
from studio.accounts.visitors import Visitor

WINDOW = timedelta(minutes=15)
LONGEST_WAIT = timedelta(minutes=5)
# One person who mistypes, at one browser or address.
FREE_FAILURES = 5
# Many addresses guessing one name.
FREE_FAILURES_PER_NAME = 20
# One address guessing many names: an office behind one address mistypes too.
FREE_FAILURES_PER_SOURCE = 50


class TooManyFailuresError(Exception):
    """Not now: another attempt is looked at in `seconds`."""

    def __init__(self, *, seconds: int) -> None:
        super().__init__(f"too many failures: wait {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class _Counted:
    """Earlier failures of one kind."""

    number: int
    newest: datetime | None
    free: int

    @property
    def may_try_at(self) -> datetime | None:
        """When the next attempt is looked at; None: at any time."""
        if self.newest is None or self.number < self.free:
            return None
        doublings = min(self.number - self.free, 20)
        return self.newest + min(timedelta(seconds=2**doublings), LONGEST_WAIT)


@contextmanager
def sign_in_attempt(*, username: str, visitor: Visitor, device: str) -> Iterator[None]:
    """The block looks at the password; when it raises, the attempt counts as a failure.

    Args:
        username: The name, as it was typed.
        visitor: Where the attempt comes from.
        device: The browser's number for this name, "" when it is not known.

    Raises:
        TooManyFailuresError: there were too many; the block is not run and nothing is counted.
    """
    SignInFailure.objects.filter(at__lt=timezone.now() - WINDOW).delete()
    attempt = SignInFailure.objects.create(username=username, address=visitor.source, device=device)
    now = timezone.now()
    counted = _counted(attempt, now=now, has_own_address=visitor.is_own_address)
    may_try_at = max((kind.may_try_at or now for kind in counted), default=now)
    if may_try_at > now:
        attempt.delete()
        raise TooManyFailuresError(seconds=int((may_try_at - now).total_seconds()) + 1)
    try:
        yield
    except Exception:
        if any(kind.number + 1 == kind.free for kind in counted):
            _record_slow_down(attempt, visitor)
        raise
    attempt.delete()


@transaction.atomic
def sign_in_record_success(*, user: User, visitor: Visitor, device: str) -> None:
    """The sign-in is in the audit; earlier failures of this browser or address are forgotten."""
    failures = SignInFailure.objects.filter(username=user.username, device=device)
    if not device:
        failures = failures.filter(address=visitor.source)
    failures.delete()
    details = {"address": visitor.address}
    audit_record(actor=user, action="user.sign_in", target=user, details=details)


def _counted(
    attempt: SignInFailure, *, now: datetime, has_own_address: bool
) -> tuple[_Counted, ...]:
    """The kinds of failures before `attempt` that it has to wait for."""
    earlier = SignInFailure.objects.filter(at__gt=now - WINDOW, pk__lt=attempt.pk)
    if attempt.device:
        return (_count(earlier.filter(device=attempt.device), FREE_FAILURES),)
    earlier = earlier.filter(device="")
    of_name, of_source = Q(username=attempt.username), Q(address=attempt.address)
    kinds = [_count(earlier.filter(of_name, of_source), FREE_FAILURES)]
    if kinds[0].number:
        kinds.append(_count(earlier.filter(of_name), FREE_FAILURES_PER_NAME))
    if has_own_address:
        kinds.append(_count(earlier.filter(of_source), FREE_FAILURES_PER_SOURCE))
    return tuple(kinds)


def _count(failures: QuerySet[SignInFailure], free: int) -> _Counted:
    found = failures.aggregate(number=Count("pk"), newest=Max("at"))
    return _Counted(found["number"], found["newest"], free)


@transaction.atomic
def _record_slow_down(attempt: SignInFailure, visitor: Visitor) -> None:
    user = User.objects.filter(username=attempt.username).first()
    if user is not None:
        details = {"address": visitor.address}
        audit_record(actor=None, action="user.lock_out", target=user, details=details)
