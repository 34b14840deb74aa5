"""Which blocks are visible now, to a reader that must not write? For a catalog in SQLite.

Opened read-only and never upgraded, so a server may use the database at the same time.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, CatalogError
from storage.catalog.sql import read_blocks


def visible_blocks(path: Path, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
    """Visible blocks that may hold `start_ns <= ts < end_ns`, in order of creation."""
    if not path.is_file():
        raise CatalogError(f"there is no catalog {path}: give the data folder of a server")
    engine = sa.create_engine(f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            return read_blocks(connection, tenant, start_ns, end_ns)
    except sa.exc.SQLAlchemyError as error:
        raise CatalogError(f"the catalog {path} cannot be read: {error}") from error
    finally:
        engine.dispose()
