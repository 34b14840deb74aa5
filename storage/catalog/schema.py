"""Which schema has a catalog, and can this version use it? Looked at, never changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from storage.catalog.base import CatalogError
from storage.catalog.database import FAILURES, MIGRATIONS, connections, newer_text, told
from storage.catalog.tables import SCHEMA


class SchemaState(Enum):
    """What is to be done before it can be used."""

    SAME = "same"
    NEW = "new"  # there is no schema yet
    OLDER = "older"  # a start, or narfi migrate, changes it
    NEWER = "newer"  # it cannot be used


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSchema:
    """The schema of a catalog."""

    found: str | None
    state: SchemaState
    told: str  # a sentence
    pending: tuple[str, ...] = ()  # migrations that are still to be done, in order


def schema_at(place: str | Path) -> FoundSchema:
    """Of a URL of PostgreSQL, or of a file of SQLite; raises `CatalogError`."""
    where = "catalog.url" if isinstance(place, str) else str(place)
    with _reading(place, where) as connection:
        found: str | None = None
        if sa.inspect(connection).has_table("alembic_version"):
            found = connection.execute(sa.text("select version_num from alembic_version")).scalar()
    if found == SCHEMA:
        return FoundSchema(
            found=found, state=SchemaState.SAME, told=f"the catalog has schema {SCHEMA}"
        )
    if found is not None and found > SCHEMA:
        return FoundSchema(found=found, state=SchemaState.NEWER, told=newer_text(where))
    pending = tuple(name for name in migrations() if name.partition("_")[0] > (found or ""))
    state = SchemaState.NEW if found is None else SchemaState.OLDER
    begins = "has no schema yet" if found is None else f"has schema {found}"
    return FoundSchema(
        found=found,
        state=state,
        told=f"the catalog {begins}, this version has {SCHEMA}: {len(pending)} migrations are "
        "to be done",
        pending=pending,
    )


def migrations() -> list[str]:
    """Names of all migrations, oldest first: `0001_first` and so on."""
    found = (MIGRATIONS / "versions").glob("[0-9]*.py")
    return sorted(path.stem for path in found)


@contextmanager
def _reading(place: str | Path, where: str) -> Iterator[sa.Connection]:
    if isinstance(place, Path):
        if not place.is_file():
            raise CatalogError(f"there is no catalog {place}: give the data folder of a server")
        engine = sa.create_engine(f"sqlite:///file:{quote(str(place.resolve()))}?mode=ro&uri=true")
    else:
        engine = connections(place)
    try:
        with engine.connect() as connection:
            yield connection
    except FAILURES as error:
        raise CatalogError(f"the catalog {where} cannot be read: {told(error)}") from error
    finally:
        engine.dispose()
