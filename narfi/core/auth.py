"""Whose request is it? The tenant header, the only tenant, or the only one of the token.

See reference/http-api.md §0.1 for the header.
"""

from collections.abc import Mapping
from typing import Literal

from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.grant import ForbiddenError, Grant
from narfi.core.tenant import DEFAULT_TENANT, TenantId, split_tenants

TENANT_HEADER = "x-scope-orgid"


class NoTenantError(AppError):
    """The header is required and missing."""

    kind = ErrorKind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("no org id")


class Tenancy:
    """Names the tenants of a request; `headers` have names in lower case."""

    def __init__(self, mode: Literal["single", "header"]) -> None:
        self._mode = mode

    def tenants(self, headers: Mapping[str, str], grant: Grant) -> tuple[TenantId, ...]:
        """All tenants that a query names, sorted; raises `ForbiddenError` unless all are granted.

        Without the header: the only tenant of the grant, or the one that is named as its user.
        """
        if self._mode == "single":
            found: tuple[TenantId, ...] = (DEFAULT_TENANT,)
        elif value := headers.get(TENANT_HEADER, ""):
            found = split_tenants(value)
        else:
            found = (_without_header(grant),)
        grant.check_tenants(found)
        return found

    def tenant(self, headers: Mapping[str, str], grant: Grant) -> TenantId:
        """The only tenant, as pushes need it."""
        found = self.tenants(headers, grant)
        if len(found) > 1:
            raise InvalidRequestError("multiple org IDs present")
        return found[0]

    def check(self, headers: Mapping[str, str], grant: Grant) -> tuple[TenantId, ...]:
        """All tenants; none where something is wrong with the header, which is told by who needs
        it. Raises `ForbiddenError` for tenants that are not granted."""
        try:
            return self.tenants(headers, grant)
        except ForbiddenError:
            raise
        except AppError:
            return ()


def _without_header(grant: Grant) -> TenantId:
    if grant.tenants is None:
        raise NoTenantError
    if len(grant.tenants) == 1:
        return next(iter(grant.tenants))
    if grant.user in grant.tenants:
        return TenantId(grant.user)
    raise InvalidRequestError(
        f"the token {grant.name!r} is for several tenants: name one in X-Scope-OrgID, or as the "
        "user name"
    )
