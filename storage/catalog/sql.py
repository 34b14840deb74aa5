"""How does the catalog live in a SQL database? SQLite embedded, PostgreSQL on a cluster.

The schema is upgraded by Alembic when the catalog is opened. Invariant: a block row and the
watermark of its tenant commit in one transaction, synced to disk (SQLite: WAL, synchronous=FULL).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import sqlalchemy as sa

from narfi.core.clock import Clock, SystemClock
from narfi.core.tenant import TenantId
from storage.catalog.base import (
    BlockRow,
    CatalogConflictError,
    CatalogError,
    LevelTotal,
    Loss,
    RemovedBlock,
    Watermark,
)
from storage.catalog.tables import BLOCKS, LOSSES, REMOVED_BLOCKS, WATERMARKS

MIGRATIONS = Path(__file__).parent / "migrations"


class SqlCatalog:
    """A `Catalog` over SQLAlchemy; thread-safe (one connection per use, pooled)."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _configure_sqlite)
        try:
            self._upgrade()
        except sa.exc.SQLAlchemyError as error:
            raise CatalogError(f"the catalog {url} cannot be opened: {error}") from error

    @property
    def engine(self) -> sa.Engine:
        """The database, for other tables of the catalog."""
        return self._engine

    def _upgrade(self) -> None:
        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._engine.begin() as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")

    def publish(self, block: BlockRow | None, watermark: Watermark | None) -> None:
        """Commit a block and a watermark in one transaction; a watermark never goes back."""
        try:
            with self._engine.begin() as connection:
                if block is not None and not _was_published(connection, block.block_id):
                    connection.execute(sa.insert(BLOCKS).values(_values(block)))
                if watermark is not None:
                    _advance(connection, watermark)
        except sa.exc.SQLAlchemyError as error:
            raise CatalogError(f"the catalog cannot be written: {error}") from error

    def replace(self, removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        """Swap blocks in one transaction; all of `removed` must be visible."""
        now = self._clock.now_ns()
        try:
            with self._engine.begin() as connection:
                _remove(connection, removed, now)
                for block in added:
                    connection.execute(sa.insert(BLOCKS).values(_values(block)))
        except sa.exc.SQLAlchemyError as error:
            raise CatalogError(f"the catalog cannot be written: {error}") from error

    def blocks(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
        """Visible blocks that may hold `start_ns <= ts < end_ns`, in order of creation."""
        with self._engine.connect() as connection:
            return read_blocks(connection, tenant, start_ns, end_ns)

    def watermarks(self, journal_id: str) -> dict[TenantId, int]:
        """The position up to which each tenant's frames are in blocks."""
        query = sa.select(WATERMARKS).where(WATERMARKS.c.journal_id == journal_id)
        with self._engine.connect() as connection:
            return {TenantId(r.tenant): r.position for r in connection.execute(query)}

    def newest_created(self) -> int | None:
        """When the newest visible block was made."""
        with self._engine.connect() as connection:
            newest: int | None = connection.execute(
                sa.select(sa.func.max(BLOCKS.c.created_ns))
            ).scalar()
            return newest

    def journals(self) -> Sequence[str]:
        """Journals that have watermarks, sorted by id."""
        ids = WATERMARKS.c.journal_id
        with self._engine.connect() as connection:
            return list(connection.execute(sa.select(ids).distinct().order_by(ids)).scalars())

    def note_loss(self, loss: Loss) -> bool:
        """Remember a loss that is not known yet."""
        known = (LOSSES.c.journal_id == loss.journal_id) & (
            LOSSES.c.first_position == loss.first_position
        )
        try:
            with self._engine.begin() as connection:
                if connection.execute(sa.select(LOSSES).where(known)).first() is not None:
                    return False
                values = {name: getattr(loss, name) for name in Loss.__slots__}
                connection.execute(sa.insert(LOSSES).values(values))
                return True
        except sa.exc.SQLAlchemyError as error:
            raise CatalogError(f"the catalog cannot be written: {error}") from error

    def losses(self) -> Sequence[Loss]:
        """All that were told, oldest first."""
        query = sa.select(LOSSES).order_by(LOSSES.c.told_ns, LOSSES.c.first_position)
        with self._engine.connect() as connection:
            return [
                Loss(**{name: getattr(row, name) for name in Loss.__slots__})
                for row in connection.execute(query)
            ]

    def tenants(self) -> Sequence[TenantId]:
        """Tenants that have blocks, sorted."""
        query = sa.select(BLOCKS.c.tenant).distinct().order_by(BLOCKS.c.tenant)
        with self._engine.connect() as connection:
            return [TenantId(r.tenant) for r in connection.execute(query)]

    def oldest(self, limit: int) -> Sequence[BlockRow]:
        """Blocks of all tenants by the time of their newest entry."""
        query = sa.select(BLOCKS).order_by(BLOCKS.c.max_ts, BLOCKS.c.block_id).limit(limit)
        with self._engine.connect() as connection:
            return [_row(found) for found in connection.execute(query)]

    def totals(self) -> Sequence[LevelTotal]:
        """Sums over the visible blocks, by level."""
        query = (
            sa.select(
                BLOCKS.c.level,
                sa.func.count(),
                sa.func.sum(BLOCKS.c.row_count),
                sa.func.sum(BLOCKS.c.stored_bytes),
            )
            .group_by(BLOCKS.c.level)
            .order_by(BLOCKS.c.level)
        )
        with self._engine.connect() as connection:
            return [
                LevelTotal(level, blocks, int(rows), int(size))  # PostgreSQL sums to Decimal
                for level, blocks, rows, size in connection.execute(query)
            ]

    def removed(self, limit: int) -> Sequence[RemovedBlock]:
        """Blocks that were removed and not forgotten, oldest removal first."""
        columns = REMOVED_BLOCKS.c
        query = sa.select(REMOVED_BLOCKS).order_by(columns.removed_ns, columns.block_id)
        with self._engine.connect() as connection:
            return [
                RemovedBlock(r.block_id, TenantId(r.tenant), r.min_ts, r.stored_bytes, r.removed_ns)
                for r in connection.execute(query.limit(limit))
            ]

    def forget(self, block_ids: Sequence[str]) -> None:
        """Removed blocks whose objects are gone."""
        gone = REMOVED_BLOCKS.c.block_id.in_(block_ids)
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.delete(REMOVED_BLOCKS).where(gone))
        except sa.exc.SQLAlchemyError as error:
            raise CatalogError(f"the catalog cannot be written: {error}") from error

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()


def read_blocks(
    connection: sa.Connection, tenant: TenantId, start_ns: int, end_ns: int
) -> Sequence[BlockRow]:
    """Visible blocks that may hold `start_ns <= ts < end_ns`, in order of creation."""
    query = (
        sa.select(BLOCKS)
        .where(BLOCKS.c.tenant == tenant)
        .where(BLOCKS.c.max_ts >= start_ns)
        .where(BLOCKS.c.min_ts < end_ns)
        .order_by(BLOCKS.c.created_ns, BLOCKS.c.block_id)
    )
    return [_row(found) for found in connection.execute(query)]


def _configure_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()


def _was_published(connection: sa.Connection, block_id: str) -> bool:
    """Whether the block is visible, or was and is removed."""
    return any(
        connection.execute(sa.select(ids).where(ids == block_id)).first() is not None
        for ids in (BLOCKS.c.block_id, REMOVED_BLOCKS.c.block_id)
    )


def _remove(connection: sa.Connection, block_ids: Sequence[str], now_ns: int) -> None:
    """Move rows from the visible blocks to the removed ones."""
    chosen = BLOCKS.c.block_id.in_(block_ids)
    columns = ["block_id", "tenant", "min_ts", "stored_bytes", "removed_ns"]
    source = sa.select(
        BLOCKS.c.block_id,
        BLOCKS.c.tenant,
        BLOCKS.c.min_ts,
        BLOCKS.c.stored_bytes,
        sa.literal(now_ns, sa.BigInteger),
    ).where(chosen)
    connection.execute(sa.insert(REMOVED_BLOCKS).from_select(columns, source))
    found = connection.execute(sa.delete(BLOCKS).where(chosen)).rowcount
    if found != len(block_ids):
        message = f"{len(block_ids) - found} of {len(block_ids)} blocks are not visible any more"
        raise CatalogConflictError(message)


def _advance(connection: sa.Connection, watermark: Watermark) -> None:
    mine = (WATERMARKS.c.journal_id == watermark.journal_id) & (
        WATERMARKS.c.tenant == watermark.tenant
    )
    known = connection.execute(sa.select(WATERMARKS.c.position).where(mine)).scalar()
    if known is None:
        row = {
            "journal_id": watermark.journal_id,
            "tenant": watermark.tenant,
            "position": watermark.position,
        }
        connection.execute(sa.insert(WATERMARKS).values(row))
    elif watermark.position > known:
        connection.execute(sa.update(WATERMARKS).where(mine).values(position=watermark.position))


def _values(block: BlockRow) -> dict[str, Any]:
    return {
        "block_id": block.block_id,
        "tenant": block.tenant,
        "cut_id": block.cut_id,
        "min_ts": block.min_ts,
        "max_ts": block.max_ts,
        "row_count": block.rows,
        "line_bytes": block.line_bytes,
        "stored_bytes": block.stored_bytes,
        "level": block.level,
        "format_version": block.format_version,
        "created_ns": block.created_ns,
    }


def _row(found: Any) -> BlockRow:
    return BlockRow(
        found.block_id,
        TenantId(found.tenant),
        found.cut_id,
        found.min_ts,
        found.max_ts,
        found.row_count,
        found.line_bytes,
        found.stored_bytes,
        found.level,
        found.format_version,
        found.created_ns,
    )
