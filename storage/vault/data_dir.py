"""What lies where in a server's data folder?"""

from dataclasses import dataclass
from pathlib import Path

from narfi.core.errors import AppError, ErrorKind
from storage.objects.base import SharedObjects
from storage.objects.filesystem import LocalObjects
from storage.objects.places import local_folder, objects_at, shown

CATALOG = "catalog.db"
JOURNAL = "journal"
OBJECTS = "objects"
CACHE = "cache"
"""Pieces of far objects; it may be deleted while no server runs."""
UNFINISHED = "restore-unfinished"
"""Lies in a data folder while a restore writes it."""


class DataDirError(AppError):
    """The folder cannot be used as a server's data folder."""

    kind = ErrorKind.INVALID


@dataclass(frozen=True, slots=True)
class DataDir:
    """The data folder of a server.

    `storage_url`, `catalog_url`: where blocks and catalog are when they are not in the folder.
    """

    root: Path
    storage_url: str = ""
    catalog_url: str = ""

    @property
    def catalog(self) -> Path:
        """The database; `-wal` and `-shm` beside it belong to it."""
        return self.root / CATALOG

    @property
    def journal(self) -> Path:
        """The folder of the journal."""
        return self.root / JOURNAL

    def objects(self) -> SharedObjects:
        """The objects of blocks; a folder is made when it is not there."""
        if self.storage_url:
            return objects_at(self.storage_url)
        return LocalObjects(self.root / OBJECTS)

    def hasty_objects(self) -> SharedObjects:
        """The same, for one who has little time for a request, and tries again himself."""
        return objects_at(self.storage_url, hasty=True) if self.is_far else self.objects()

    @property
    def is_far(self) -> bool:
        """Whether the blocks lie on no disk of this machine."""
        return bool(self.storage_url) and local_folder(self.storage_url) is None

    def check_holds_the_catalog(self, what: str) -> None:
        """Raise `DataDirError`, for a command that only works on SQLite in the folder."""
        if self.catalog_url:
            raise DataDirError(
                f"{what} does not work with a catalog in PostgreSQL: back up and restore the "
                "database with its own tools, and the blocks with those of the object store"
            )

    def check_holds_the_blocks(self, what: str) -> None:
        """Raise `DataDirError`, for a command that only works on blocks in the folder."""
        self.check_holds_the_catalog(what)
        if self.storage_url:
            raise DataDirError(
                f"{what} works on blocks in the data folder, and these are in "
                f"{shown(self.storage_url)}"
            )

    def check_is_whole(self) -> None:
        """Raise `DataDirError` for a folder that a restore did not finish."""
        if (self.root / UNFINISHED).exists():
            raise DataDirError(
                f"a restore into {self.root} did not finish: run it again, into the same folder"
            )

    def check_is_there(self) -> None:
        """Raise `DataDirError` unless it is a data folder, and whole."""
        if not self.root.is_dir():
            raise DataDirError(f"there is no data folder {self.root}")
        if not any((self.root / name).exists() for name in (CATALOG, JOURNAL, OBJECTS, UNFINISHED)):
            raise DataDirError(f"{self.root} is not the data folder of a server")
        self.check_is_whole()
