"""How much is stored, without looking at every block? Sums by level, kept by who changes blocks.

Invariant: each transaction in which blocks become visible or go moves the sums by the same blocks,
so they are always those of the visible ones. Removed blocks, until they are forgotten, have a sum
as well.
"""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from narfi.core.tenant import TenantId
from storage.catalog.base import LevelTotal, RemovedTotal
from storage.catalog.database import insert
from storage.catalog.tables import BLOCKS, LEVEL_TOTALS

COLUMNS = LEVEL_TOTALS.c
REMOVED = -1
"""Stands for a level in the sum over removed blocks."""


def add(connection: sa.Connection, blocks: Iterable[LevelTotal]) -> None:
    """These became visible; inside their transaction."""
    _move(connection, blocks, 1)


def take(connection: sa.Connection, blocks: Iterable[LevelTotal]) -> None:
    """These are visible no more; inside their transaction."""
    _move(connection, blocks, -1)


def add_removed(connection: sa.Connection, sizes: Iterable[int]) -> None:
    """Blocks of so many stored bytes were removed; inside their transaction."""
    add(connection, (LevelTotal(REMOVED, 1, 0, size) for size in sizes))


def take_removed(connection: sa.Connection, sizes: Iterable[int]) -> None:
    """Removed blocks of so many stored bytes were forgotten; inside their transaction."""
    take(connection, (LevelTotal(REMOVED, 1, 0, size) for size in sizes))


def _move(connection: sa.Connection, blocks: Iterable[LevelTotal], sign: int) -> None:
    moved: dict[int, tuple[int, int, int]] = {}
    for one in blocks:
        count, rows, size = moved.get(one.level, (0, 0, 0))
        moved[one.level] = (count + one.blocks, rows + one.rows, size + one.stored_bytes)
    for level, sums in sorted(moved.items()):
        names = ("blocks", "row_count", "stored_bytes")
        values = {name: sign * size for name, size in zip(names, sums, strict=True)}
        new = insert(connection, LEVEL_TOTALS).values(level=level, **values)
        more = {name: COLUMNS[name] + new.excluded[name] for name in names}
        connection.execute(new.on_conflict_do_update(index_elements=["level"], set_=more))


def read_largest(connection: sa.Connection, most: int) -> dict[TenantId, int]:
    """Stored bytes of visible blocks by tenant, of those with the most; looks at every block."""
    size = sa.func.sum(BLOCKS.c.stored_bytes).label("size")
    query = sa.select(BLOCKS.c.tenant, size).group_by(BLOCKS.c.tenant)
    found = connection.execute(query.order_by(size.desc()).limit(most))
    return {TenantId(row.tenant): int(row.size) for row in found}


def read_totals(connection: sa.Connection) -> Sequence[LevelTotal]:
    """The sums of the levels that have blocks, the lowest first."""
    query = sa.select(LEVEL_TOTALS).where(COLUMNS.blocks > 0).where(COLUMNS.level >= 0)
    return [
        LevelTotal(row.level, row.blocks, row.row_count, row.stored_bytes)
        for row in connection.execute(query.order_by(COLUMNS.level))
    ]


def read_removed_total(connection: sa.Connection) -> RemovedTotal:
    """The sum over removed blocks."""
    query = sa.select(LEVEL_TOTALS).where(COLUMNS.level == REMOVED)
    found = connection.execute(query).first()
    return RemovedTotal(0, 0) if found is None else RemovedTotal(found.blocks, found.stored_bytes)
