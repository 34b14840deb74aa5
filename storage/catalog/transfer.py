"""How do all rows of a catalog come into another, new one? Table by table, in one transaction.

Between any two databases that the catalog can be in, at the same schema.
"""

import sqlalchemy as sa

from storage.catalog.database import Database
from storage.catalog.tables import METADATA

PAGE = 1000
"""Rows in memory at once."""


def transfer(source: Database, target: Database) -> None:
    """The target has the rows of the source then, and no others: all of them, or none came."""

    def move(new: sa.Connection) -> None:
        with source.reading() as old:
            for table in METADATA.sorted_tables:
                new.execute(sa.delete(table))  # what a new schema begins with
                for page in old.execute(sa.select(table)).mappings().partitions(PAGE):
                    new.execute(sa.insert(table), [dict(row) for row in page])

    target.write(move)
