"""Where is a backup? A folder of this machine, or a URL of an object store."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from storage.objects.arrow import ArrowObjects
from storage.objects.base import ObjectError, ObjectStore
from storage.objects.filesystem import LocalObjects
from storage.vault.data_dir import DataDir
from storage.vault.record import BackupError


def open_target(where: str, data: DataDir) -> ObjectStore:
    """A place to write a backup of the data folder to; a folder is made when it is not there."""
    folder = _folder(where)
    if folder is None:
        return ArrowObjects.at(where)
    if folder.resolve().is_relative_to(data.root.resolve()):
        raise BackupError(f"{where} lies in the data folder; a backup belongs to another disk")
    try:
        objects = LocalObjects(folder)
        objects.discard_unfinished()
    except OSError as error:
        raise ObjectError(f"{where} cannot be used: {error.strerror}") from error
    return objects


def open_source(where: str) -> ObjectStore:
    """A place to read a backup from; nothing is made."""
    folder = _folder(where)
    if folder is None:
        return ArrowObjects.at(where)
    if not folder.is_dir():
        raise BackupError(f"there is no folder {where}")
    return LocalObjects(folder)


def _folder(where: str) -> Path | None:
    """The folder; None for a URL of something else."""
    if "://" not in where:
        return Path(where)
    parts = urlsplit(where)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
