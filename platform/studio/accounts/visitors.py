"""Who is at the door: the address a visitor comes from, and whether we know their browser.

The address is that of the connection, unless the connection comes from a proxy that is named in
`STUDIO_TRUSTED_PROXIES`. Then `X-Forwarded-For` is read from its right end, where the nearest proxy
has written, and only as long as each hop is itself a trusted proxy: whatever a visitor wrote into
the header stands to the left of that and is never reached.

A browser in which somebody signed in keeps a device cookie for that account (OWASP's "device
cookie"): signed by us, worth nothing without the password, and counted by itself, so that nobody
else's wrong passwords can keep its owner out.
"""

import secrets
from dataclasses import dataclass
from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from studio.accounts.models import User

DEVICE_SECONDS = 180 * 24 * 60 * 60
MAX_ACCOUNTS_PER_DEVICE = 10
UNIX_SOCKET = "unix"
"""In `STUDIO_TRUSTED_PROXIES`: a proxy that connects through a Unix socket has no address."""
_SALT = "studio.accounts.device"


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """Where a request came from, as far as it can be known."""

    address: str
    """For people to read: the audit log has it."""
    source: str
    """What is counted: the address; of IPv6 its /64, because one visitor owns all of that."""
    is_own_address: bool
    """False when the address may be a proxy's, which all visitors share."""


def visitor_of(request: HttpRequest) -> Visitor:
    """Where the request came from."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [hop.strip() for hop in forwarded.split(",")]
    nearest = request.META.get("REMOTE_ADDR", "")
    while hops and _is_trusted(nearest):
        hop = hops.pop()
        if _parsed(hop) is None:
            break
        nearest = hop
    came_through = bool(forwarded or request.META.get("HTTP_FORWARDED"))
    is_shared = came_through and not settings.STUDIO_TRUSTED_PROXIES
    address = _parsed(nearest)
    return Visitor(
        address=str(address or nearest),
        source=_source(address) if address else nearest,
        is_own_address=not is_shared and not _is_trusted(nearest),
    )


def known_device(request: HttpRequest, username: str) -> str:
    """The number of the device cookie that this browser has for `username`; "" if it has none."""
    devices = _devices(request)
    if not devices:
        return ""
    key = User.objects.filter(username=username).values_list("pk", flat=True).first()
    return devices.get(str(key), "")


def remember_device(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """This browser is known for `user` from now on, under a new number."""
    devices = _devices(request)
    devices.pop(str(user.pk), None)
    newest = [*devices.items(), (str(user.pk), secrets.token_urlsafe(12))]
    response.set_cookie(
        settings.STUDIO_DEVICE_COOKIE_NAME,
        signing.dumps(dict(newest[-MAX_ACCOUNTS_PER_DEVICE:]), salt=_SALT),
        max_age=DEVICE_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def _devices(request: HttpRequest) -> dict[str, str]:
    cookie = request.COOKIES.get(settings.STUDIO_DEVICE_COOKIE_NAME, "")
    try:
        devices: dict[str, str] = signing.loads(cookie, salt=_SALT, max_age=DEVICE_SECONDS)
    except signing.BadSignature:
        return {}
    return devices


@cache
def _trusted_networks(names: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(name) for name in names if name != UNIX_SOCKET)


def _is_trusted(address: str) -> bool:
    names = tuple(settings.STUDIO_TRUSTED_PROXIES)
    if not address:
        return UNIX_SOCKET in names
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in _trusted_networks(names))


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _source(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))
