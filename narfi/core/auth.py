"""Whose request is it? The tenant header, or the only tenant (reference/http-api.md §0.1)."""

from collections.abc import Mapping
from typing import Literal

from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.tenant import DEFAULT_TENANT, TenantId, split_tenants

TENANT_HEADER = "x-scope-orgid"


class NoTenantError(AppError):
    """The header is required and missing."""

    kind = ErrorKind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("no org id")


class Tenancy:
    """Names the tenants of a request."""

    def __init__(self, mode: Literal["single", "header"]) -> None:
        self._mode = mode

    def tenants(self, headers: Mapping[str, str]) -> tuple[TenantId, ...]:
        """All tenants that a query names, sorted; header names are lower case."""
        if self._mode == "single":
            return (DEFAULT_TENANT,)
        value = headers.get(TENANT_HEADER, "")
        if not value:
            raise NoTenantError
        return split_tenants(value)

    def tenant(self, headers: Mapping[str, str]) -> TenantId:
        """The only tenant, as pushes need it."""
        found = self.tenants(headers)
        if len(found) > 1:
            raise InvalidRequestError("multiple org IDs present")
        return found[0]
