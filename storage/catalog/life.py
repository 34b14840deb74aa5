"""Which statements move a block from one step of its life to the next? Each inside a transaction.

A step begins with the DELETE of the row that it moves on: PostgreSQL serialises writers of one
block on that row, and whoever comes second finds it gone. SQLite has one writer at a time.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storage.catalog import totals
from storage.catalog.base import BlockRow, CatalogConflictError, LevelTotal, Watermark
from storage.catalog.changes import next_version
from storage.catalog.database import insert
from storage.catalog.tables import BLOCKS, INTENTS, REMOVED_BLOCKS, WATERMARKS


def make_visible(connection: sa.Connection, blocks: Sequence[BlockRow]) -> None:
    """Intents become blocks; a block that was published before stays as it is."""
    version = next_version(connection) if blocks else 0
    new: list[BlockRow] = []
    for block in blocks:
        mine = INTENTS.c.block_id == block.block_id
        if connection.execute(sa.delete(INTENTS).where(mine)).rowcount:
            values = values_of(block) | {"version": version}
            connection.execute(sa.insert(BLOCKS).values(values))
            new.append(block)
        elif not was_published(connection, block.block_id):
            raise CatalogConflictError(f"block {block.block_id} took too long and was given up")
    totals.add(connection, map(total_of, new))


def adopt(
    connection: sa.Connection,
    blocks: Sequence[BlockRow],
    replaced: Sequence[BlockRow],
    now_ns: int,
) -> None:
    """Blocks become visible, or removed, without an intent."""
    if blocks:
        version = next_version(connection)
        rows = [values_of(block) | {"version": version} for block in blocks]
        connection.execute(sa.insert(BLOCKS), rows)
        totals.add(connection, map(total_of, blocks))
    _insert_removed(connection, replaced, now_ns, was_visible=True)


def was_published(connection: sa.Connection, block_id: str) -> bool:
    """Whether the block is visible, or was and is removed."""
    visible = sa.select(BLOCKS.c.block_id).where(BLOCKS.c.block_id == block_id)
    removed = (
        sa.select(REMOVED_BLOCKS.c.block_id)
        .where(REMOVED_BLOCKS.c.block_id == block_id)
        .where(REMOVED_BLOCKS.c.was_visible)
    )
    return any(connection.execute(query).first() is not None for query in (visible, removed))


def was_swapped(
    connection: sa.Connection, removed: Sequence[str], added: Sequence[BlockRow]
) -> bool:
    """Whether this very swap was committed before, and its caller did not learn of it.

    Ids are made once, so blocks that were published can only have come in by the same swap.
    """
    if not removed or not added:
        return False
    return all(was_published(connection, block.block_id) for block in added)


def remove(connection: sa.Connection, block_ids: Sequence[str], now_ns: int) -> None:
    """Visible blocks become removed ones, all of them or none."""
    if not block_ids:
        return
    gone = connection.execute(
        sa.delete(BLOCKS)
        .where(BLOCKS.c.block_id.in_(block_ids))
        .returning(
            BLOCKS.c.block_id,
            BLOCKS.c.tenant,
            BLOCKS.c.min_ts,
            BLOCKS.c.stored_bytes,
            BLOCKS.c.level,
            BLOCKS.c.row_count,
        )
    ).all()
    missing = len(set(block_ids)) - len(gone)
    if missing:
        message = f"{missing} of {len(block_ids)} blocks are not visible any more"
        raise CatalogConflictError(message)
    _insert_removed(connection, gone, now_ns, was_visible=True)
    sizes = (LevelTotal(row.level, 1, row.row_count, row.stored_bytes) for row in gone)
    totals.take(connection, sizes)


def give_up(connection: sa.Connection, which: sa.ColumnElement[bool], now_ns: int) -> int:
    """Intents become removed blocks; how many."""
    gone = connection.execute(
        sa.delete(INTENTS)
        .where(which)
        .returning(
            INTENTS.c.block_id,
            INTENTS.c.tenant,
            INTENTS.c.min_ts,
            sa.literal(0, sa.BigInteger).label("stored_bytes"),
        )
    ).all()
    _insert_removed(connection, gone, now_ns, was_visible=False)
    return len(gone)


def _insert_removed(
    connection: sa.Connection, gone: Sequence[Any], now_ns: int, *, was_visible: bool
) -> None:
    if gone:
        version = next_version(connection)
        connection.execute(
            sa.insert(REMOVED_BLOCKS),
            [
                {
                    "block_id": row.block_id,
                    "tenant": row.tenant,
                    "min_ts": row.min_ts,
                    "stored_bytes": row.stored_bytes,
                    "removed_ns": now_ns,
                    "was_visible": was_visible,
                    "version": version,
                }
                for row in gone
            ],
        )
        totals.add_removed(connection, (row.stored_bytes for row in gone))


def advance(connection: sa.Connection, watermark: Watermark) -> None:
    """Move a tenant's watermark on; one that is further already stays."""
    insert_unless_there(
        connection,
        WATERMARKS,
        {
            "journal_id": watermark.journal_id,
            "tenant": watermark.tenant,
            "position": watermark.position,
        },
    )
    connection.execute(
        sa.update(WATERMARKS)
        .where(WATERMARKS.c.journal_id == watermark.journal_id)
        .where(WATERMARKS.c.tenant == watermark.tenant)
        .where(WATERMARKS.c.position < watermark.position)
        .values(position=watermark.position)
    )


def insert_unless_there(
    connection: sa.Connection, table: sa.Table, values: dict[str, object]
) -> bool:
    """Insert a row, unless one of its key is there, whoever wrote it; whether it was new."""
    key = next(iter(table.primary_key))
    statement = insert(connection, table).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(key)).first() is not None


def total_of(block: BlockRow) -> LevelTotal:
    """What the block adds to the sums of its level."""
    return LevelTotal(block.level, 1, block.rows, block.stored_bytes)


def values_of(block: BlockRow) -> dict[str, Any]:
    """The columns of a block's row."""
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
