"""Is the schema of a new catalog the one that migrations bring an older one to? On every engine."""

import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.catalog import database
from storage.catalog.sql import SqlCatalog
from storage.catalog.tables import METADATA, SCHEMA


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_new_catalog_is_what_migrations_make(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the order of columns: statements name them."""

    def made() -> Contents:
        new = f"sqlite:///{tmp_path}/{uuid.uuid4().hex}.db"
        if engine == "postgresql":
            new = request.getfixturevalue("postgres_server").fresh()
        with closing(SqlCatalog(new)) as catalog:
            return contents(catalog)

    at_once = made()
    monkeypatch.setattr(database, "make_newest", lambda connection: False)
    assert made() == at_once
    assert at_once["alembic_version"]["rows"] == [(SCHEMA,)]
    assert len(at_once) == len(METADATA.tables) + 1


Contents = dict[str, dict[str, Any]]


def contents(catalog: SqlCatalog) -> Contents:
    """Columns, keys, indexes and rows of each table."""
    with catalog.database.engine.connect() as connection:
        look = sa.inspect(connection)
        return {
            name: {
                "columns": {
                    column["name"]: {key: str(value) for key, value in column.items()}
                    for column in look.get_columns(name)
                },
                "key": look.get_pk_constraint(name),
                "indexes": {index["name"]: index for index in look.get_indexes(name)},
                "unique": look.get_unique_constraints(name),
                "rows": sorted(
                    tuple(row) for row in connection.execute(sa.text(f"select * from {name}"))
                ),
            }
            for name in look.get_table_names()
        }
