"""What lies where in a server's data folder?"""

from dataclasses import dataclass
from pathlib import Path

from narfi.core.errors import AppError, ErrorKind
from storage.objects.filesystem import LocalObjects

CATALOG = "catalog.db"
JOURNAL = "journal"
OBJECTS = "objects"
UNFINISHED = "restore-unfinished"
"""Lies in a data folder while a restore writes it."""


class DataDirError(AppError):
    """The folder cannot be used as a server's data folder."""

    kind = ErrorKind.INVALID


@dataclass(frozen=True, slots=True)
class DataDir:
    """The data folder of a server."""

    root: Path

    @property
    def catalog(self) -> Path:
        """The database; `-wal` and `-shm` beside it belong to it."""
        return self.root / CATALOG

    @property
    def journal(self) -> Path:
        """The folder of the journal."""
        return self.root / JOURNAL

    def objects(self) -> LocalObjects:
        """The objects of blocks; their folder is made when it is not there."""
        return LocalObjects(self.root / OBJECTS)

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
