"""Whose data is it? Tenant ids, checked once at the edge (reference/http-api.md §0.1)."""

from typing import NewType

from narfi.core.errors import InvalidRequestError

TenantId = NewType("TenantId", str)

DEFAULT_TENANT = TenantId("fake")
MAX_TENANT_BYTES = 150
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-_.*'()")


class TenantError(InvalidRequestError):
    """The tenant id cannot be used."""


def check_tenant(text: str) -> TenantId:
    """A valid tenant id, or `TenantError` with Loki's text."""
    for char in text:
        if char not in _ALLOWED:
            raise TenantError(f"tenant ID '{text}' contains unsupported character '{char}'")
    if len(text) > MAX_TENANT_BYTES:
        raise TenantError(f"tenant ID is too long: max {MAX_TENANT_BYTES} characters")
    if text in (".", ".."):
        raise TenantError("tenant ID is '.' or '..'")
    return TenantId(text)


def split_tenants(header: str) -> tuple[TenantId, ...]:
    """The ids of `a|b`, sorted and unique; `tenant:key=value` suffixes are stripped."""
    ids = {check_tenant(part.split(":", 1)[0]) for part in header.split("|")}
    return tuple(sorted(ids))
