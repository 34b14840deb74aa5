"""Which tokens are in the catalog? What it said last, asked again every few seconds.

While the catalog cannot be read, what was known goes on for a bounded time; after that it cannot be
said who somebody is (503): a token may have been revoked meanwhile.
"""

from collections.abc import Sequence

import structlog

from narfi.access.grants import make_grant
from narfi.access.known import KnownToken, KnownTokens
from narfi.access.secret import Token
from narfi.core.audit import audit
from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from storage.catalog.tokens import TokenRow, TokenStore

log = structlog.get_logger(__name__)


class TokensUnknownError(AppError):
    """The catalog was not heard for too long."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(
            "it cannot be said whose token this is: the catalog could not be read for longer than "
            "auth.outage_grace"
        )


class CatalogTokens:
    """A `Source`; `refresh` is called by one thread, the rest by any."""

    def __init__(self, store: TokenStore, clock: Clock, grace_ns: int) -> None:
        self._store, self._clock, self._grace_ns = store, clock, grace_ns
        self._version = -1
        self._heard_ns: int | None = None
        self._known = KnownTokens()

    def find(self, text: str, token: Token | None) -> KnownToken | None:
        """Who signs in with this text; raises `TokensUnknownError`."""
        if token is None:
            return None
        if self._heard_ns is None or self._clock.now_ns() - self._heard_ns > self._grace_ns:
            raise TokensUnknownError
        return self._known.find(text, token)

    def __len__(self) -> int:
        return len(self._known)

    def refresh(self) -> int:
        """Ask the catalog; 1 where tokens changed. Raises `CatalogError` in an outage."""
        asked_ns = self._clock.now_ns()
        version = self._store.version()
        changed = version != self._version
        if changed:
            found, before = KnownTokens(_known_of(self._store.tokens())), self._known
            changes = found.changes_since(before)
            self._known, first = found, self._version < 0
            self._version = version
            if changes and not first:
                audit("tokens changed", source="catalog", **changes)
        self._heard_ns = asked_ns
        return int(changed)


def _known_of(rows: Sequence[TokenRow]) -> list[KnownToken]:
    """One that cannot be used is told, and nobody signs in with it."""
    found: list[KnownToken] = []
    for row in rows:
        try:
            grant = make_grant(row.name, row.tenants, row.scopes, row.policy)
        except AppError as error:
            log.error("a token cannot be used", token_id=row.token_id, error=error.message)
            continue
        found.append(
            KnownToken(
                grant=grant,
                token_id=row.token_id,
                digest=row.digest,
                expires_ns=row.expires_ns,
            )
        )
    return found
