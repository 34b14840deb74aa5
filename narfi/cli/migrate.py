"""`narfi migrate`: bring the catalog's schema up to date, before servers of a new version start.

A server does it at its start too, under the same lock: this is for deployments that start several,
or that want to see it done first.
"""

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from narfi.cli.data_folder import ConfigFlag, DataDirFlag, settings_of
from narfi.core.errors import AppError, ErrorKind

EXIT_PENDING = 1


class NoDatabaseError(AppError):
    """There is no database of its own to migrate."""

    kind = ErrorKind.INVALID


def migrate(
    config: ConfigFlag = "",
    data_dir: DataDirFlag = "",
    check: Annotated[
        bool, typer.Option(help="Change nothing: exit 0 when it is up to date, else 1.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Change nothing: name what would be done.")] = False,
) -> None:
    """Bring the schema of `catalog.url` up to date; what is up to date stays as it is."""
    if check or dry_run:
        _look(config, data_dir, names=dry_run)
        return
    from narfi.core.settings import load_settings
    from storage.catalog.sql import SqlCatalog
    from storage.catalog.tables import SCHEMA

    url = load_settings(Path(config) if config else None, os.environ, {}).catalog.url
    if not url:
        raise NoDatabaseError(
            "catalog.url is not set: the catalog in data_dir is migrated when the server starts"
        )
    with closing(SqlCatalog(url)):
        print(f"the catalog has schema {SCHEMA}")


def _look(config: str, data_dir: str, *, names: bool) -> None:
    """Say which schema there is; raises `NewerCatalogError`."""
    from storage.catalog.base import NewerCatalogError
    from storage.catalog.schema import SchemaState, schema_at
    from storage.vault.data_dir import DataDir

    settings = settings_of(data_dir, config)
    data = DataDir(settings.data_dir, settings.storage.url, settings.catalog.url)
    found = schema_at(data.catalog_url or data.catalog)
    if found.state is SchemaState.NEWER:
        raise NewerCatalogError(found.told)
    print(found.told)
    if names:
        for name in found.pending:
            print(name)
    elif found.pending:
        raise typer.Exit(EXIT_PENDING)
