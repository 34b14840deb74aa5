"""What may whoever asks do? Tenants, scopes and streams of the one who signed in.

A request carries its grant from the door (`narfi/access/`) to its handler: over HTTP in its scope,
over gRPC in its call. A request without one came by no door, so looking for it fails.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from narfi.core.errors import AppError, ErrorKind
from narfi.core.matchers import Matcher
from narfi.core.tenant import TenantId

GRANT_KEY = "narfi.grant"
"""Of an ASGI scope; nothing that a client sends can set it."""

Streams = tuple[Matcher, ...]
"""Which streams somebody may see: those that satisfy all matchers."""

ALL_STREAMS: Streams = ()


class Scope(StrEnum):
    """What a token may be for; none includes another one, but for `metrics` in `admin`."""

    READ = "read"
    """Queries, labels, tails, and what rules and alerts say."""
    WRITE = "write"
    """Pushes."""
    DELETE = "delete"
    """Delete requests: made, listed, cancelled."""
    RULES = "rules"
    """Rule groups: read and changed."""
    ADMIN = "admin"
    """State, configuration and log level of the whole server."""
    METRICS = "metrics"
    """`/metrics` of the whole server."""


class ForbiddenError(AppError):
    """Who asks is known, and may not do this."""

    kind = ErrorKind.FORBIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Who asks, and what that one may do."""

    name: str  # told in logs and errors
    tenants: frozenset[TenantId] | None  # None: all
    scopes: frozenset[Scope]
    streams: Streams = ALL_STREAMS
    user: str = ""  # the user name that came with a password

    def check_tenants(self, asked: Iterable[TenantId]) -> None:
        """Raise `ForbiddenError` unless it holds for all of them."""
        if self.tenants is None:
            return
        for tenant in asked:
            if tenant not in self.tenants:
                raise ForbiddenError(f"the token {self.name!r} is not for tenant {tenant!r}")

    def check_sees_all(self, what: str) -> None:
        """Raise `ForbiddenError` for one who may see some streams only."""
        if self.streams:
            raise ForbiddenError(f"the token {self.name!r} has a policy, and {what} looks past it")


ANYBODY = Grant(name="anybody", tenants=None, scopes=frozenset(Scope))
"""Where nobody signs in."""
NOBODY = Grant(name="nobody", tenants=frozenset(), scopes=frozenset())
"""Who asks what is told to everybody."""


def grant_of(scope: Mapping[str, Any]) -> Grant:
    """The grant of a request over HTTP, or of a socket; `KeyError`: it came by no door."""
    found: Grant = scope[GRANT_KEY]
    return found
