"""Which tokens are there? Rows of the catalog's database; of a secret only its digest.

What tenants, scopes and policy mean is for others; nothing here reads them. Each change raises a
version, so a server that looks every few seconds reads one number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from narfi.core.errors import AppError, ErrorKind
from storage.catalog.changes import next_version
from storage.catalog.database import Database
from storage.catalog.tables import TOKENS, VERSIONS

CHANGES = "tokens"
"""Name of the version of tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """One token; times in ns."""

    token_id: str
    name: str
    tenants: tuple[str, ...]
    scopes: tuple[str, ...]
    policy: str  # a selector; empty: all streams
    digest: str
    created_ns: int
    expires_ns: int | None = None


class NoSuchTokenError(AppError):
    """No token has this id or name."""

    kind = ErrorKind.NOT_FOUND


class TokenStore:
    """Tokens of all tenants; thread-safe. Everything raises `CatalogError` in an outage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int:
        """Grows with each change."""
        query = sa.select(VERSIONS.c.version).where(VERSIONS.c.name == CHANGES)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def tokens(self) -> Sequence[TokenRow]:
        """All of them, oldest first; those that expired too."""
        query = sa.select(TOKENS).order_by(TOKENS.c.created_ns, TOKENS.c.token_id)
        with self._database.reading() as connection:
            return [_row(found) for found in connection.execute(query)]

    def named(self, text: str) -> Sequence[TokenRow]:
        """The token of an id, or those of a name; raises `NoSuchTokenError`."""
        found = [row for row in self.tokens() if text in (row.token_id, row.name)]
        if not found:
            raise NoSuchTokenError(f"there is no token {text!r}")
        return [row for row in found if row.token_id == text] or found

    def add(self, row: TokenRow) -> None:
        """Remember a token."""

        def add(connection: sa.Connection) -> None:
            next_version(connection, CHANGES)
            connection.execute(sa.delete(TOKENS).where(TOKENS.c.token_id == row.token_id))
            connection.execute(sa.insert(TOKENS).values(_values(row)))

        self._database.write(add)

    def remove(self, token_id: str) -> None:
        """Forget a token; nothing when it is gone already."""

        def remove(connection: sa.Connection) -> None:
            next_version(connection, CHANGES)
            connection.execute(sa.delete(TOKENS).where(TOKENS.c.token_id == token_id))

        self._database.write(remove)

    def replace(self, old: TokenRow, new: TokenRow, old_until_ns: int) -> None:
        """Remember a new token in place of an old one, which holds until a time, at once."""

        def replace(connection: sa.Connection) -> None:
            next_version(connection, CHANGES)
            columns = TOKENS.c
            earlier = columns.expires_ns.is_(None) | (columns.expires_ns > old_until_ns)
            connection.execute(
                sa.update(TOKENS)
                .where(columns.token_id == old.token_id)
                .where(earlier)
                .values(expires_ns=old_until_ns)
            )
            connection.execute(sa.delete(TOKENS).where(columns.token_id == new.token_id))
            connection.execute(sa.insert(TOKENS).values(_values(new)))

        self._database.write(replace)


def _values(row: TokenRow) -> dict[str, Any]:
    return {
        "token_id": row.token_id,
        "name": row.name,
        "tenants": orjson.dumps(row.tenants).decode(),
        "scopes": orjson.dumps(row.scopes).decode(),
        "policy": row.policy,
        "digest": row.digest,
        "created_ns": row.created_ns,
        "expires_ns": row.expires_ns,
    }


def _row(found: Any) -> TokenRow:
    return TokenRow(
        token_id=found.token_id,
        name=found.name,
        tenants=tuple(orjson.loads(found.tenants)),
        scopes=tuple(orjson.loads(found.scopes)),
        policy=found.policy,
        digest=found.digest,
        created_ns=found.created_ns,
        expires_ns=found.expires_ns,
    )
