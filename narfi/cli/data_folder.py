"""Which data folder is meant? As for `narfi serve`: flag, environment, file, default."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from storage.vault.data_dir import DataDir

DataDirFlag = Annotated[str, typer.Option("--data-dir", help="Data folder of the server.")]
ConfigFlag = Annotated[str, typer.Option("--config", help="The server's YAML file.")]


def data_folder(data_dir: str, config: str) -> "DataDir":
    """The folder, whatever is in it."""
    from narfi.core.settings import load_settings
    from storage.vault.data_dir import DataDir

    flags = {"data_dir": data_dir} if data_dir else {}
    return DataDir(load_settings(Path(config) if config else None, os.environ, flags).data_dir)
