"""Signing in, and slowing down those who guess."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from studio.accounts.audit import audit_record
from studio.accounts.models import SignInFailure, User

WINDOW = timedelta(minutes=15)
# One person who mistypes, counted with their address so that nobody can lock out somebody else.
MAX_FAILURES_PER_ADDRESS = 5
# Many addresses guessing one name.
MAX_FAILURES_PER_NAME = 50


def sign_in_locked_until(*, username: str, address: str) -> datetime | None:
    """When `username` may try again from `address`; None if they may now."""
    failures = SignInFailure.objects.filter(
        username=username, at__gt=timezone.now() - WINDOW
    ).order_by("-at")
    newest = list(failures.values_list("address", "at")[:MAX_FAILURES_PER_NAME])
    from_here = [at for failed_from, at in newest if failed_from == address]
    if len(from_here) >= MAX_FAILURES_PER_ADDRESS:
        return from_here[MAX_FAILURES_PER_ADDRESS - 1] + WINDOW
    if len(newest) >= MAX_FAILURES_PER_NAME:
        return newest[-1][1] + WINDOW
    return None


@transaction.atomic
def sign_in_record_failure(*, username: str, address: str) -> None:
    """The failure counts for the next fifteen minutes; a lock-out that begins is in the audit."""
    SignInFailure.objects.filter(at__lt=timezone.now() - WINDOW).delete()
    SignInFailure.objects.create(username=username, address=address)
    user = User.objects.filter(username=username).first()
    if user and sign_in_locked_until(username=username, address=address):
        audit_record(actor=None, action="user.lock_out", target=user, details={"address": address})


@transaction.atomic
def sign_in_record_success(*, user: User, address: str) -> None:
    """The sign-in is in the audit and earlier failures from the same address are forgotten."""
    SignInFailure.objects.filter(username=user.username, address=address).delete()
    audit_record(actor=user, action="user.sign_in", target=user, details={"address": address})
