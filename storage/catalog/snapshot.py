"""What does a catalog in SQLite say, to a reader that must not write?

Opened read-only and never upgraded, so a server may use the database at the same time.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, CatalogError, Counts, Intent, Loss
from storage.catalog.database import FAILURES, told
from storage.catalog.delete_log import DeleteRequest, pending_requests, read_requests
from storage.catalog.sql import (
    known_blocks,
    read_blocks,
    read_counts,
    read_intents,
    read_losses,
    row_of,
)
from storage.catalog.tables import BLOCKS, LOSSES, SCHEMA, WATERMARKS

PAGE = 1000
"""Rows that are in memory at once."""


class CatalogReader:
    """A catalog that is only read."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise CatalogError(f"there is no catalog {path}: give the data folder of a server")
        self._path = path
        address = f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true"
        self._engine = sa.create_engine(address)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except FAILURES as error:
            raise CatalogError(f"the catalog {self._path} cannot be read: {told(error)}") from error

    def check_schema(self) -> None:
        """Raise `CatalogError` when another version of the program wrote it."""
        with self._reading() as connection:
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        if found != SCHEMA:
            raise CatalogError(
                f"the catalog {self._path} has schema {found} and this version reads {SCHEMA}: "
                "start the server of this version once, or use the version that wrote it"
            )

    def faults(self, *, deep: bool) -> Sequence[str]:
        """What SQLite finds wrong with the database, at most a few lines."""
        check = "integrity_check" if deep else "quick_check"
        with self._reading() as connection:
            found = connection.execute(sa.text(f"PRAGMA {check}(5)")).scalars().all()
        return [] if found == ["ok"] else [str(line) for line in found]

    def between(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
        """Visible blocks that may hold `start_ns <= ts < end_ns`, in order of creation."""
        with self._reading() as connection:
            return read_blocks(connection, tenant, start_ns, end_ns)

    def blocks(self) -> Iterator[BlockRow]:
        """All visible blocks by id, read page by page: each page is as it is at its moment."""
        last = ""
        while True:
            query = sa.select(BLOCKS).where(BLOCKS.c.block_id > last).order_by(BLOCKS.c.block_id)
            with self._reading() as connection:
                rows = [row_of(found) for found in connection.execute(query.limit(PAGE))]
            yield from rows
            if len(rows) < PAGE:
                return
            last = rows[-1].block_id

    def block(self, block_id: str) -> BlockRow | None:
        """The row of a visible block."""
        query = sa.select(BLOCKS).where(BLOCKS.c.block_id == block_id)
        with self._reading() as connection:
            found = connection.execute(query).first()
        return None if found is None else row_of(found)

    def known(self, block_ids: Sequence[str]) -> set[str]:
        """Those of the blocks that the catalog names, in whatever step of their life."""
        with self._reading() as connection:
            return known_blocks(connection, block_ids)

    def intents(self) -> Sequence[Intent]:
        """Blocks that are being written, or were when a server ended."""
        with self._reading() as connection:
            return read_intents(connection)

    def counts(self) -> Counts:
        """How many blocks are in each step of their life."""
        with self._reading() as connection:
            return read_counts(connection)

    def watermarks(self) -> dict[str, dict[TenantId, int]]:
        """By journal, the position up to which each tenant's records are in blocks."""
        found: dict[str, dict[TenantId, int]] = {}
        with self._reading() as connection:
            for row in connection.execute(sa.select(WATERMARKS)):
                found.setdefault(row.journal_id, {})[TenantId(row.tenant)] = row.position
        return found

    def losses(self) -> Sequence[Loss]:
        """Losses that nobody said were understood, oldest first."""
        with self._reading() as connection:
            return read_losses(connection)

    def told(self) -> set[tuple[str, int]]:
        """Losses that were told, understood or not: (journal id, first position)."""
        query = sa.select(LOSSES.c.journal_id, LOSSES.c.first_position)
        with self._reading() as connection:
            return {(row.journal_id, row.first_position) for row in connection.execute(query)}

    def pending_deletes(self, tenant: TenantId) -> Sequence[DeleteRequest]:
        """The tenant's delete requests that are not done, oldest first."""
        with self._reading() as connection:
            return read_requests(connection, pending_requests(tenant))

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()


def check_catalog(path: Path) -> None:
    """Raise `CatalogError` where there is none, or one of another version of the program."""
    with contextlib.closing(CatalogReader(path)) as reader:
        reader.check_schema()


def pending_deletes(path: Path, tenant: TenantId) -> Sequence[DeleteRequest]:
    """Delete requests that are not done: to be asked for before the blocks."""
    with contextlib.closing(CatalogReader(path)) as reader:
        return reader.pending_deletes(tenant)


def visible_blocks(path: Path, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
    """Visible blocks that may hold `start_ns <= ts < end_ns`, in order of creation."""
    with contextlib.closing(CatalogReader(path)) as reader:
        return reader.between(tenant, start_ns, end_ns)
