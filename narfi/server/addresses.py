"""May the server listen here? Where others can reach it, somebody has to say who asks.

A name counts as loopback only when everything that it resolves to is: `localhost.example.com` and
`127.example.com` are names as any other.
"""

import ipaddress
import socket

import structlog

from narfi.core.errors import AppError, ErrorKind
from narfi.core.settings import Settings

log = structlog.get_logger(__name__)


class AddressError(AppError):
    """The server does not listen here; one line says why."""

    kind = ErrorKind.INTERNAL


def check_addresses(settings: Settings, *, insecure: bool) -> None:
    """Refuse what is not HOST:PORT, and what others can reach without a sign-in; may warn."""
    server = settings.server
    reachable = [a for a in (server.http, server.grpc) if not is_loopback(host_of(a))]
    if not reachable:
        return
    if settings.auth.enabled:
        if not server.tls.is_on:
            log.warning("tokens can be read on the way: set server.tls, or put TLS in front")
        return
    told = f"{reachable[0]} can be reached from other machines and there is no authentication"
    if not (insecure or server.insecure):
        raise AddressError(
            f"{told}: ask for tokens (auth.enabled, docs/security.md), or pass --insecure if that "
            "is wanted"
        )
    log.warning("everybody who reaches the server may read, push and delete", address=reachable[0])


def host_of(address: str) -> str:
    """The host of HOST:PORT, without brackets; raises `AddressError`."""
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise AddressError(f"{address!r} is not an address; write for instance 127.0.0.1:3100")
    return host.removeprefix("[").removesuffix("]")


def page_url(settings: Settings) -> str:
    """Where a browser on this machine finds the page; empty: this process has none."""
    server = settings.server
    if not (server.ui and "querier" in settings.roles):
        return ""
    host, port = host_of(server.http), server.http.rpartition(":")[2]
    place = "localhost" if host in ("", "0.0.0.0", "::") else host
    place = f"[{place}]" if ":" in place else place
    scheme = "https" if server.tls.is_on else "http"
    return f"{scheme}://{place}:{port}{server.path_prefix.rstrip('/')}/ui/"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it; a name is looked up. No host means every address."""
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"{host!r} cannot be looked up: {error}") from error
    places = {str(place[4][0]).partition("%")[0] for place in found}
    return all(ipaddress.ip_address(place).is_loopback for place in places)
