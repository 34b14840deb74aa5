"""What small blocks are there, by tenant and day? Sums that the database makes; no row leaves it.

Who merges blocks needs to know which of thousands of days are worth a look, and of nearly all
blocks nothing.
"""

import sqlalchemy as sa

from narfi.core.tenant import TenantId
from storage.catalog.base import SmallBlocks, SmallDay
from storage.catalog.tables import BLOCKS


def read_small_days(connection: sa.Connection, small: SmallBlocks) -> list[SmallDay]:
    """Days with two small blocks or more, by tenant and day."""
    sizes = _sizes(small).cte("sizes")
    day = sa.select(
        sizes.c.tenant,
        sizes.c.day,
        sa.func.count().label("blocks"),
        sa.func.sum(sizes.c.size).label("size"),
        sa.func.max(sizes.c.created_ns).label("newest_ns"),
        sa.func.max(sa.case((sizes.c.smaller >= sizes.c.size, 1), else_=0)).label("doubles"),
    )
    query = (
        day.group_by(sizes.c.tenant, sizes.c.day)
        .having(sa.func.count() > 1)
        .order_by(sizes.c.tenant, sizes.c.day)
    )
    return [
        SmallDay(
            tenant=TenantId(row.tenant),
            day=row.day,
            blocks=row.blocks,
            size=int(row.size),
            newest_ns=row.newest_ns,
            doubles=bool(row.doubles),
        )
        for row in connection.execute(query)
    ]


def _sizes(small: SmallBlocks) -> sa.Select[tuple[object, ...]]:
    """Each small block, with the sum of all smaller ones of its day."""
    low = BLOCKS.c.min_ts
    size = BLOCKS.c.line_bytes + small.row_bytes * BLOCKS.c.row_count
    # division cuts towards zero; nothing here may leave 64 bits, whatever the time
    day = sa.case((low >= 0, low // small.day_ns), else_=-(-(low + 1) // small.day_ns) - 1)
    smaller = sa.func.sum(size).over(
        partition_by=(BLOCKS.c.tenant, day),
        order_by=(size, BLOCKS.c.block_id),
        rows=(None, -1),
    )
    columns = (BLOCKS.c.tenant, day.label("day"), size.label("size"), BLOCKS.c.created_ns)
    return sa.select(*columns, smaller.label("smaller")).where(size < small.below)
