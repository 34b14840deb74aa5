"""Where does a restore put blocks and catalog? Into the data folder, a bucket, a database.

A place that is not in the folder has to be empty as well: what has a bucket's prefix, and a
database, belongs to one installation. Invariant: the catalog is written whole or not at all.
"""

import tempfile
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

from narfi.core.clock import SystemClock
from storage.catalog.sql import SqlCatalog
from storage.catalog.transfer import transfer
from storage.objects.base import ObjectStore
from storage.objects.filesystem import LocalObjects
from storage.objects.places import shown
from storage.vault.data_dir import CATALOG, DataDir, DataDirError
from storage.vault.database import alone_on_database
from storage.vault.record import OBJECTS


class RestoredPlaces:
    """What the keys of a data folder mean, wherever its parts are."""

    def __init__(self, data: DataDir, folder: LocalObjects) -> None:
        """`folder`: the data folder itself, whose puts are atomic and durable."""
        self._data, self._folder = data, folder
        self._far: ObjectStore | None = data.objects() if data.storage_url else None

    def check_are_empty(self) -> None:
        """Raise `DataDirError` unless bucket and database are; the folder is another's to check."""
        if self._far is not None and next(iter(self._far.list("")), None) is not None:
            raise DataDirError(
                f"{shown(self._data.storage_url)} is not empty: restore into a prefix that is"
            )
        if self._data.catalog_url:
            with alone_on_database(self._data.catalog_url, SystemClock()) as catalog:
                if any(astuple(catalog.counts())):
                    raise DataDirError(
                        "the database of catalog.url is not empty: restore into one that is"
                    )

    def put(self, key: str, content: bytes) -> None:
        """A file of the data folder."""
        if key.startswith(OBJECTS) and self._far is not None:
            self._far.put(key.removeprefix(OBJECTS), content)
        elif key == CATALOG and self._data.catalog_url:
            self._fill_database(content)
        else:
            self._folder.put(key, content)

    def _fill_database(self, content: bytes) -> None:
        """With the rows of a catalog in SQLite, brought to this version's schema first."""
        with tempfile.TemporaryDirectory(prefix="narfi-restore-") as place:
            file = Path(place) / CATALOG
            file.write_bytes(content)
            with (
                closing(SqlCatalog(f"sqlite:///{file}")) as old,
                alone_on_database(self._data.catalog_url, SystemClock()) as new,
            ):
                if any(astuple(new.counts())) and new.version() != old.version():
                    raise DataDirError("somebody wrote to the database of catalog.url meanwhile")
                transfer(old.database, new.database)

    def remove_others(self, prefix: str, wanted: set[str]) -> None:
        """What a restore that did not finish took from another backup."""
        if prefix == OBJECTS and self._far is not None:
            for key in list(self._far.list("")):
                if OBJECTS + key not in wanted:
                    self._far.delete(key)
            return
        for key in list(self._folder.list(prefix)):
            if key not in wanted:
                self._folder.delete(key)
