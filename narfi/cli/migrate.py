"""`narfi migrate`: bring the catalog's schema up to date, before servers of a new version start.

A server does it at its start too, under the same lock: this is for deployments that start several,
or that want to see it done first.
"""

import os
from contextlib import closing
from pathlib import Path

from narfi.cli.data_folder import ConfigFlag
from narfi.core.errors import AppError, ErrorKind


class NoDatabaseError(AppError):
    """There is no database of its own to migrate."""

    kind = ErrorKind.INVALID


def migrate(config: ConfigFlag = "") -> None:
    """Bring the schema of `catalog.url` up to date; what is up to date stays as it is."""
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
