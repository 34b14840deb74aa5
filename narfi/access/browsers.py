"""Does a web page use its visitor's browser to reach the server? Asked of Host, Origin and Fetch.

A page of somebody else may send requests to any address that its visitor reaches. It cannot read
the answers, unless its own name is made to lead to the server (DNS rebinding: then Host is that
name), or they come over a WebSocket, which no browser keeps from it. Programs are not bothered:
they send neither Origin nor Sec-Fetch-Site, and any Host that they were told.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from narfi.core.grant import ForbiddenError

SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
"""Methods that change nothing."""
OWN_SITES = frozenset(("same-origin", "none"))
"""`Sec-Fetch-Site` of a page of the server's own, and of an address that somebody typed."""
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Of every answer that does not say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Browsers:
    """What browsers may do; `names`: by which the server is known, beside addresses."""

    names: frozenset[str]
    bound: str  # the host that is listened to
    any_host: bool  # others can reach it anyhow, or have to sign in: a name gives nothing away
    origins: frozenset[str] = frozenset()  # of others, which may do what the server's own may

    def check(self, scope: Scope) -> None:
        """Raise `ForbiddenError` for a request that a page of somebody else makes."""
        headers = Headers(scope=scope)
        for host in headers.getlist("host"):
            if not self.any_host and not self._is_known(host):
                raise ForbiddenError(
                    f"this server is not known as {host!r}: add the name to server.hosts"
                )
        if scope["type"] == "websocket" or scope["method"] not in SAFE:
            self._check_origin(headers)

    def _is_known(self, host: str) -> bool:
        name = name_of(host)
        return _is_address(name) or _is_local(name) or name in (self.bound, *self.names)

    def _check_origin(self, headers: Headers) -> None:
        for origin in headers.getlist("origin"):
            if not self._is_own(origin, headers.get("host", "")):
                raise ForbiddenError(
                    f"a page of {origin!r} may not do this: see server.hosts and "
                    "server.cors_origins"
                )
        site = headers.get("sec-fetch-site", "none")
        if "origin" not in headers and site not in OWN_SITES:
            raise ForbiddenError(f"a page of another site may not do this ({site})")

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether the page came from here; a proxy may have taken TLS away, or changed Host."""
        scheme, _, place = origin.lower().partition("://")
        if scheme not in ("http", "https") or not place:
            return False
        return place == host.lower() or origin in self.origins or name_of(place) in self.names


def browsers_of(
    hosts: Sequence[str], origins: Sequence[str], bound: str, *, is_guarded: bool
) -> Browsers:
    """As the settings say; `bound`: the host that is listened to, `is_guarded`: others reach it
    anyhow, or everybody signs in."""
    return Browsers(
        names=frozenset(map(name_of, hosts)) - {""},
        bound=name_of(bound) or "localhost",
        any_host=is_guarded and not hosts,
        origins=frozenset(origins),
    )


def name_of(host: str) -> str:
    """The name of a host, without port, brackets and last dot, in lower case; empty: none."""
    host = host.strip().lower()
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name if _is_address(name) and _is_port(port.removeprefix(":")) else ""
    if host.count(":") == 1:
        host, _, port = host.partition(":")
        host = host if _is_port(port) else ""
    return host.removesuffix(".")


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit())


def _is_local(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
