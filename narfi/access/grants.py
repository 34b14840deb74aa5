"""What may a token be made for? Names of scopes, tenants and a policy become a grant, or a refusal.

A policy restricts what is read and deleted. Scopes that would look past it are not given together
with it: rules are evaluated over all streams, and `admin` and `metrics` tell of the whole server.
"""

from collections.abc import Iterable, Sequence

from logql.parser import parse_selector
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.grant import ALL_STREAMS, Grant, Scope, Streams
from narfi.core.tenant import DEFAULT_TENANT, TenantId, check_tenant

ALL_TENANTS = "*"
WHOLE_SERVER = frozenset((Scope.ADMIN, Scope.METRICS))
"""Scopes that know no tenant."""
MAX_NAME = 100
"""Characters of a name, which stands in logs and errors."""
WITH_POLICY = frozenset((Scope.READ, Scope.DELETE))
"""Scopes that a policy can be enforced for."""


class GrantError(InvalidRequestError):
    """No token can be made for this."""


def make_grant(name: str, tenants: Sequence[str], scopes: Iterable[str], policy: str) -> Grant:
    """What a token may do; raises `GrantError`."""
    if not (name and name.isprintable() and len(name) <= MAX_NAME):
        raise GrantError(f"a token's name has 1 to {MAX_NAME} characters that can be printed")
    given = frozenset(_scope(text) for text in scopes)
    if not given:
        raise GrantError(f"token {name!r} has no scope; there are {', '.join(Scope)}")
    wanted = _tenants(name, tenants)
    whole = given & WHOLE_SERVER
    if whole and wanted not in (None, frozenset((DEFAULT_TENANT,))):
        raise GrantError(
            f"token {name!r}: scope {min(whole)} is of the whole server, not of a tenant: make a "
            "token of its own for it, for tenant '*'"
        )
    if policy and (beyond := given - WITH_POLICY):
        raise GrantError(
            f"token {name!r}: a policy cannot be enforced for scope {min(beyond)}: make a token of "
            "its own for it"
        )
    streams = check_policy(policy) if policy else ALL_STREAMS
    return Grant(name=name, tenants=wanted, scopes=given, streams=streams)


def check_policy(text: str) -> Streams:
    """The matchers of a policy; raises `GrantError`."""
    try:
        found = parse_selector(text, allow_empty_matchers=True).matchers
    except AppError as error:
        raise GrantError(f"policy {text!r} is not a selector: {error.message}") from error
    if not found:
        raise GrantError(f"policy {text!r} has no matcher")
    for matcher in found:
        if matcher.name.startswith("__"):
            raise GrantError(f"policy {text!r}: {matcher.name} is no label of a stream")
    return found


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise GrantError(f"{text!r} is no scope; there are {', '.join(Scope)}") from None


def _tenants(name: str, given: Sequence[str]) -> frozenset[TenantId] | None:
    if not given:
        raise GrantError(f"token {name!r} is for no tenant; '*' means all")
    if ALL_TENANTS in given:
        if len(given) > 1:
            raise GrantError(f"token {name!r}: '*' means all tenants, and stands alone")
        return None
    return frozenset(check_tenant(text) for text in given)
