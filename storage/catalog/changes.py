"""What changed since a reader looked last? Every transaction over blocks has a version of its own.

The version is taken from one row that each such transaction updates first, so versions become
visible in their order: a reader that has seen version n has seen everything up to n. Removed blocks
are told until their objects are gone; a reader that is further behind starts anew.
"""

import sqlalchemy as sa

from storage.catalog.tables import BLOCKS, REMOVED_BLOCKS, VERSIONS

NEWEST, FORGOTTEN = "newest", "forgotten"
DELETES = "deletes"
"""Name of the version of delete requests."""

_NEWEST_VERSION = f"SELECT version FROM {VERSIONS.name} WHERE name = '{NEWEST}'"
"""Asked by every query, so given to the driver as it is."""


def next_version(connection: sa.Connection, of: str = NEWEST) -> int:
    """The version of this transaction; serialises it with other changes of blocks, or of `of`."""
    row = connection.execute(
        sa.update(VERSIONS)
        .where(VERSIONS.c.name == of)
        .values(version=VERSIONS.c.version + 1)
        .returning(VERSIONS.c.version)
    ).one()
    return int(row.version)


def note_forgotten(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Removed blocks are about to be forgotten: readers that are behind them have to start anew."""
    newest = connection.execute(
        sa.select(sa.func.max(REMOVED_BLOCKS.c.version)).where(which)
    ).scalar()
    if newest is not None:
        connection.execute(
            sa.update(VERSIONS)
            .where(VERSIONS.c.name == FORGOTTEN)
            .where(VERSIONS.c.version < newest)
            .values(version=newest)
        )


def newest_version(connection: sa.Connection) -> int:
    """The version of the newest transaction over blocks."""
    return int(connection.exec_driver_sql(_NEWEST_VERSION).scalar_one())


def versions(connection: sa.Connection) -> tuple[int, int]:
    """(newest version, newest version of which something was forgotten)."""
    found = {row.name: row.version for row in connection.execute(sa.select(VERSIONS))}
    return int(found[NEWEST]), int(found[FORGOTTEN])


def visible_since(version: int) -> sa.Select[tuple[object, ...]]:
    """Blocks that became visible behind this version."""
    return sa.select(BLOCKS).where(BLOCKS.c.version > version).order_by(BLOCKS.c.version)


def gone_since(version: int) -> sa.Select[tuple[str]]:
    """Ids of blocks that were removed behind this version."""
    return sa.select(REMOVED_BLOCKS.c.block_id).where(REMOVED_BLOCKS.c.version > version)
