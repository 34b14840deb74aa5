"""How does the catalog live in a SQL database? SQLite embedded, PostgreSQL on a cluster.

Each method is one transaction of `database.py`; `life.py` has the statements that move blocks on.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from narfi.core.clock import Clock, SystemClock
from narfi.core.tenant import TenantId
from storage.catalog import life
from storage.catalog.base import (
    BlockRow,
    Changes,
    Counts,
    Fence,
    Intent,
    LevelTotal,
    Loss,
    RemovedBlock,
    RemovedTotal,
    SmallBlocks,
    SmallDay,
    Watermark,
)
from storage.catalog.changes import (
    gone_since,
    newest_version,
    note_forgotten,
    versions,
    visible_since,
)
from storage.catalog.database import Database
from storage.catalog.days import read_small_days
from storage.catalog.leases import check_fence
from storage.catalog.tables import BLOCKS, INTENTS, LOSSES, REMOVED_BLOCKS, WATERMARKS
from storage.catalog.totals import read_largest, read_removed_total, read_totals, take_removed

MAX_IDS = 500
"""Ids in one statement."""
FEW = 2000
"""Rows that are read in one statement, without asking first how many there are."""
_CREATED = attrgetter("created_ns", "block_id")


class SqlCatalog:
    """A `Catalog` over SQLAlchemy; thread-safe (one connection per use, pooled)."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.database = Database(url)

    def intend(self, intent: Intent) -> None:
        """Commit that a block will be written."""
        values = {name: getattr(intent, name) for name in Intent.__slots__}
        self.database.write(lambda c: life.insert_unless_there(c, INTENTS, values))

    def publish(
        self,
        blocks: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
        fence: Fence | None = None,
    ) -> None:
        """Commit blocks and watermarks in one transaction; a watermark never goes back."""

        def publish(connection: sa.Connection) -> None:
            if fence is not None:
                check_fence(connection, fence)
            life.make_visible(connection, blocks)
            for watermark in watermarks:
                life.advance(connection, watermark)

        self.database.write(publish)

    def replace(self, removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        """Swap blocks in one transaction; all of `removed` must be visible."""
        now = self._clock.now_ns()

        def replace(connection: sa.Connection) -> None:
            if not life.was_swapped(connection, removed, added):
                life.remove(connection, removed, now)
                life.make_visible(connection, added)

        self.database.write(replace)

    def adopt(
        self,
        blocks: Sequence[BlockRow],
        replaced: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
    ) -> None:
        """See `Catalog.adopt`."""
        now = self._clock.now_ns()

        def adopt(connection: sa.Connection) -> None:
            life.adopt(connection, blocks, replaced, now)
            for watermark in watermarks:
                life.advance(connection, watermark)

        self.database.write(adopt)

    def prolong(self, block_ids: Sequence[str], expires_ns: int) -> None:
        """See `Catalog.prolong`."""
        which = INTENTS.c.block_id.in_(block_ids)
        statement = sa.update(INTENTS).where(which).values(expires_ns=expires_ns)
        self.database.write(lambda connection: connection.execute(statement))

    def abandon(self, block_ids: Sequence[str]) -> None:
        """Intents of these become removed blocks."""
        now, which = self._clock.now_ns(), INTENTS.c.block_id.in_(block_ids)
        self.database.write(lambda connection: life.give_up(connection, which, now))

    def abandon_expired(self, owner: str | None = None) -> int:
        """Intents that are over, or of other owners than this one, become removed blocks."""
        now = self._clock.now_ns()
        over = INTENTS.c.expires_ns <= now
        which = over if owner is None else over | (INTENTS.c.owner != owner)
        return self.database.write(lambda connection: life.give_up(connection, which, now))

    def intents(self) -> Sequence[Intent]:
        """Blocks that are about to be written."""
        with self.database.reading() as connection:
            return read_intents(connection)

    def counts(self) -> Counts:
        """How many blocks are in each step of their life."""
        with self.database.reading() as connection:
            return read_counts(connection)

    def known(self, block_ids: Sequence[str]) -> set[str]:
        """Those of the blocks that the catalog names."""
        with self.database.reading() as connection:
            return known_blocks(connection, block_ids)

    def blocks(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
        """Visible blocks that may hold `start_ns <= ts < end_ns`, in order of creation."""
        with self.database.reading() as connection:
            return read_blocks(connection, tenant, start_ns, end_ns)

    def newest(self, tenant: TenantId, since_ns: int, most: int) -> Sequence[BlockRow] | None:
        """Visible blocks that may hold `since_ns <= ts`, in order of creation."""
        with self.database.reading() as connection:
            return read_newest(connection, tenant, since_ns, most)

    def begun_within(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
        """Visible blocks whose oldest entry is in there; the others are not looked at."""
        with self.database.reading() as connection:
            found = connection.execute(begun_query(tenant, start_ns, end_ns))
            return [row_of(row) for row in found]

    def first_begun(
        self, tenant: TenantId, start_ns: int, end_ns: int, most: int
    ) -> Sequence[BlockRow]:
        """The first of them; the others are not looked at."""
        with self.database.reading() as connection:
            found = connection.execute(begun_query(tenant, start_ns, end_ns).limit(most))
            return [row_of(row) for row in found]

    def visible(self, block_ids: Sequence[str]) -> Sequence[BlockRow]:
        """Those of the blocks that are visible."""
        found: list[BlockRow] = []
        with self.database.reading() as connection:
            for first in range(0, len(block_ids), MAX_IDS):
                some = BLOCKS.c.block_id.in_(block_ids[first : first + MAX_IDS])
                found += [row_of(row) for row in connection.execute(sa.select(BLOCKS).where(some))]
        return found

    def small_days(self, small: SmallBlocks) -> Sequence[SmallDay]:
        """See `Catalog.small_days`."""
        with self.database.reading() as connection:
            return read_small_days(connection, small)

    def version(self) -> int:
        """The newest version of the blocks."""
        with self.database.reading() as connection:
            return newest_version(connection)

    def changes(self, since: int) -> Changes:
        """See `Catalog.changes`: first what is gone, so that no side of a swap is missed."""
        with self.database.reading() as connection:
            newest, forgotten = versions(connection)
            gone = frozenset(row.block_id for row in connection.execute(gone_since(since)))
            visible = [row_of(found) for found in connection.execute(visible_since(since))]
        return Changes(newest, visible, gone, complete=since >= forgotten)

    def watermarks(self, journal_id: str) -> dict[TenantId, int]:
        """The position up to which each tenant's records are in blocks."""
        query = sa.select(WATERMARKS).where(WATERMARKS.c.journal_id == journal_id)
        with self.database.reading() as connection:
            return {TenantId(r.tenant): r.position for r in connection.execute(query)}

    def newest_created(self) -> int | None:
        """When the newest visible block was made."""
        with self.database.reading() as connection:
            newest: int | None = connection.execute(
                sa.select(sa.func.max(BLOCKS.c.created_ns))
            ).scalar()
            return newest

    def journals(self) -> Sequence[str]:
        """Journals that have watermarks, sorted by id."""
        ids = WATERMARKS.c.journal_id
        with self.database.reading() as connection:
            return list(connection.execute(sa.select(ids).distinct().order_by(ids)).scalars())

    def note_loss(self, loss: Loss) -> bool:
        """Remember a loss that is not known yet."""
        values = {name: getattr(loss, name) for name in Loss.__slots__}
        return self.database.write(lambda c: life.insert_unless_there(c, LOSSES, values))

    def losses(self) -> Sequence[Loss]:
        """All that were told and not understood, oldest first."""
        with self.database.reading() as connection:
            return read_losses(connection)

    def understand_losses(self) -> int:
        """See `Catalog.understand_losses`."""
        new = LOSSES.c.understood_ns.is_(None)
        statement = sa.update(LOSSES).where(new).values(understood_ns=self._clock.now_ns())
        return self.database.write(lambda connection: connection.execute(statement).rowcount)

    def tenants(self) -> Sequence[TenantId]:
        """Tenants that have blocks, sorted."""
        with self.database.reading() as connection:
            return [TenantId(row.tenant) for row in connection.execute(tenants_query())]

    def oldest(self, limit: int) -> Sequence[BlockRow]:
        """Blocks of all tenants by the time of their newest entry."""
        query = sa.select(BLOCKS).order_by(BLOCKS.c.max_ts, BLOCKS.c.block_id).limit(limit)
        with self.database.reading() as connection:
            return [row_of(found) for found in connection.execute(query)]

    def totals(self) -> Sequence[LevelTotal]:
        """Sums over the visible blocks, by level; no block is looked at."""
        with self.database.reading() as connection:
            return read_totals(connection)

    def removed_total(self) -> RemovedTotal:
        """The sum over removed blocks; none is looked at."""
        with self.database.reading() as connection:
            return read_removed_total(connection)

    def largest_tenants(self, most: int) -> Mapping[TenantId, int]:
        """Stored bytes of the visible blocks of the tenants that have the most."""
        with self.database.reading() as connection:
            return read_largest(connection, most)

    def removed(self, limit: int) -> Sequence[RemovedBlock]:
        """Blocks that were removed and not forgotten, oldest removal first."""
        columns = REMOVED_BLOCKS.c
        query = sa.select(REMOVED_BLOCKS).order_by(columns.removed_ns, columns.block_id)
        with self.database.reading() as connection:
            return [
                RemovedBlock(
                    block_id=r.block_id,
                    tenant=TenantId(r.tenant),
                    min_ts=r.min_ts,
                    stored_bytes=r.stored_bytes,
                    removed_ns=r.removed_ns,
                )
                for r in connection.execute(query.limit(limit))
            ]

    def forget(self, block_ids: Sequence[str]) -> None:
        """Removed blocks whose objects are gone."""
        gone = REMOVED_BLOCKS.c.block_id.in_(block_ids)

        def forget(connection: sa.Connection) -> None:
            note_forgotten(connection, gone)
            sizes = sa.delete(REMOVED_BLOCKS).where(gone).returning(REMOVED_BLOCKS.c.stored_bytes)
            take_removed(connection, connection.execute(sizes).scalars().all())

        self.database.write(forget)

    def close(self) -> None:
        """Release connections."""
        self.database.close()


def begun_query(tenant: TenantId, start_ns: int, end_ns: int) -> sa.Select[Any]:
    """Blocks whose oldest entry is in there, by its time."""
    begun = (BLOCKS.c.min_ts >= start_ns) & (BLOCKS.c.min_ts < end_ns)
    query = sa.select(BLOCKS).where(BLOCKS.c.tenant == tenant).where(begun)
    return query.order_by(BLOCKS.c.min_ts, BLOCKS.c.block_id)


def tenants_query() -> sa.Select[tuple[str]]:
    """From each tenant to the next one by the index: costs by tenants, not by blocks."""
    tenant = BLOCKS.c.tenant
    steps = sa.select(sa.func.min(tenant).label("tenant")).cte("steps", recursive=True)
    behind = sa.select(sa.func.min(tenant)).where(tenant > steps.c.tenant).scalar_subquery()
    steps = steps.union_all(sa.select(behind).where(steps.c.tenant.is_not(None)))
    return sa.select(steps.c.tenant).where(steps.c.tenant.is_not(None)).order_by(steps.c.tenant)


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
    return [row_of(found) for found in connection.execute(query)]


def read_newest(
    connection: sa.Connection, tenant: TenantId, since_ns: int, most: int
) -> Sequence[BlockRow] | None:
    """Visible blocks that may hold `since_ns <= ts`, in order of creation; None of more than most.

    More than a few are counted before they are read.
    """
    mine = (BLOCKS.c.tenant == tenant) & (BLOCKS.c.max_ts >= since_ns)
    few = min(most, FEW)
    first = connection.execute(sa.select(BLOCKS).where(mine).limit(few + 1)).all()
    if len(first) <= few:
        return sorted(map(row_of, first), key=_CREATED)
    some = sa.select(BLOCKS.c.block_id).where(mine).limit(most + 1).subquery()
    if connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() > most:
        return None
    query = sa.select(BLOCKS).where(mine).order_by(BLOCKS.c.created_ns, BLOCKS.c.block_id)
    found = [row_of(row) for row in connection.execute(query)]
    return found if len(found) <= most else None


def read_counts(connection: sa.Connection) -> Counts:
    """How many blocks are in each step of their life."""
    visible, removed, intended = (
        connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in (BLOCKS, REMOVED_BLOCKS, INTENTS)
    )
    return Counts(visible, removed, intended)


def read_intents(connection: sa.Connection) -> Sequence[Intent]:
    """Blocks that are about to be written, by id."""
    return [
        Intent(
            block_id=row.block_id,
            tenant=TenantId(row.tenant),
            min_ts=row.min_ts,
            owner=row.owner,
            expires_ns=row.expires_ns,
        )
        for row in connection.execute(sa.select(INTENTS).order_by(INTENTS.c.block_id))
    ]


def known_blocks(connection: sa.Connection, block_ids: Sequence[str]) -> set[str]:
    """Those of the blocks that the catalog names."""
    found: set[str] = set()
    # in the order of a life, so that one which moves on meanwhile is not missed
    for ids in (INTENTS.c.block_id, BLOCKS.c.block_id, REMOVED_BLOCKS.c.block_id):
        for first in range(0, len(block_ids), MAX_IDS):
            some = block_ids[first : first + MAX_IDS]
            found.update(connection.execute(sa.select(ids).where(ids.in_(some))).scalars())
    return found


def read_losses(connection: sa.Connection) -> Sequence[Loss]:
    """Losses that were told and not understood, oldest first."""
    query = sa.select(LOSSES).where(LOSSES.c.understood_ns.is_(None))
    return [
        Loss(**{name: getattr(row, name) for name in Loss.__slots__})
        for row in connection.execute(query.order_by(LOSSES.c.told_ns, LOSSES.c.first_position))
    ]


def row_of(found: Any) -> BlockRow:
    """A whole row of the table as ours; by place, since thousands of names take milliseconds."""
    (
        block_id,
        tenant,
        cut_id,
        min_ts,
        max_ts,
        rows,
        line_bytes,
        stored_bytes,
        level,
        format_version,
        created_ns,
        _,
    ) = found
    return BlockRow(
        block_id=block_id,
        tenant=tenant,
        cut_id=cut_id,
        min_ts=min_ts,
        max_ts=max_ts,
        rows=rows,
        line_bytes=line_bytes,
        stored_bytes=stored_bytes,
        level=level,
        format_version=format_version,
        created_ns=created_ns,
    )
