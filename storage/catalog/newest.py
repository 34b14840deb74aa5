"""How is the schema of a new catalog made? At once, as it is today: migrations are for older ones.

Fifteen migrations one after another take 50 ms of the processor, this a few.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from storage.catalog.tables import LEVEL_TOTALS, METADATA, SCHEMA, VERSIONS

_REVISIONS = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own, as it makes it."""

_ROWS: Mapping[sa.Table, Sequence[Mapping[str, object]]] = {
    _REVISIONS: [{"version_num": SCHEMA}],
    VERSIONS: [
        {"name": "newest", "version": 0},
        {"name": "forgotten", "version": 0},
        {"name": "deletes", "version": 1},
        {"name": "tokens", "version": 1},
        {"name": "saved", "version": 1},
    ],
    LEVEL_TOTALS: [{"level": -1, "blocks": 0, "row_count": 0, "stored_bytes": 0}],
}
"""What the migrations leave in a catalog without blocks."""


def make_newest(connection: sa.Connection) -> bool:
    """Make all tables in a database that has none, in its transaction; whether it had none."""
    if sa.inspect(connection).get_table_names():
        return False
    METADATA.create_all(connection, checkfirst=False)
    _REVISIONS.create(connection)
    for table, rows in _ROWS.items():
        connection.execute(sa.insert(table), rows)
    return True
