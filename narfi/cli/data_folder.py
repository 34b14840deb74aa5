"""Which data folder is meant? As for `narfi serve`: flag, environment, file, default."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from narfi.core.settings import Settings
    from storage.vault.data_dir import DataDir

DataDirFlag = Annotated[str, typer.Option("--data-dir", help="Data folder of the server.")]
ConfigFlag = Annotated[str, typer.Option("--config", help="The server's YAML file.")]


@contextlib.contextmanager
def telling_os_errors() -> Iterator[None]:
    """What the operating system refuses is one line, as every other error."""
    from storage.vault.data_dir import DataDirError

    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise DataDirError(f"{where}{error.strerror or error}") from error


def settings_of(data_dir: str, config: str) -> "Settings":
    """The server's settings, of which the flag replaces the folder."""
    from narfi.core.settings import load_settings

    flags = {"data_dir": data_dir} if data_dir else {}
    return load_settings(Path(config) if config else None, os.environ, flags)


def data_folder(data_dir: str, config: str) -> "DataDir":
    """The folder, whatever is in it."""
    from storage.vault.data_dir import DataDir

    settings = settings_of(data_dir, config)
    return DataDir(settings.data_dir, settings.storage.url, settings.catalog.url)
