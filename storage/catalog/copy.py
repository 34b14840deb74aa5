"""How is a catalog in SQLite copied while a server writes to it? Through SQLite's own backup.

The files themselves must not be copied: what was committed lately is in the write-ahead log beside
the database, and a copy of one without the other is an older catalog, or none.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from storage.catalog.base import CatalogError


def copy_catalog(source: Path, target: Path) -> None:
    """Everything committed before the call, as one file; raises `CatalogError`.

    A copy that is not sound is refused, so that it never takes the place of an older, sound one.
    """
    if not source.is_file():
        raise CatalogError(f"there is no catalog {source}: give the data folder of a server")
    address = f"file:{quote(str(source.resolve()))}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(address, uri=True, timeout=30)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            found = new.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise CatalogError(f"the catalog {source} cannot be copied: {error}") from error
    if found != "ok":
        raise CatalogError(f"the catalog {source} is damaged: {found}")
