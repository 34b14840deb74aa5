"""Where do blocks and catalog lie? In `data_dir`, or in an object store and a database.

Credentials are no settings: they come from the environment of the process, as for the tools of the
store and of PostgreSQL. A password in a URL is taken, and never shown.
"""

from pydantic import field_validator
from pydantic_core import PydanticCustomError

from narfi.core.setting_types import SECRET, SecretUrl, SettingsModel


class StorageSettings(SettingsModel):
    """Where blocks lie."""

    url: SecretUrl = ""
    """A folder, s3://bucket/prefix, gs://… or az://…; empty: `objects` in `data_dir`."""

    @field_validator("url")
    @classmethod
    def _names_a_bucket(cls, url: str) -> str:
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise PydanticCustomError(SECRET, "credentials come from the environment")
        return url


class CatalogSettings(SettingsModel):
    """Which blocks there are, delete requests, rules, jobs."""

    url: SecretUrl = ""
    """postgresql://user@host/name; empty: SQLite in `data_dir`."""

    @field_validator("url")
    @classmethod
    def _names_a_database(cls, url: str) -> str:
        if url and not url.startswith(("postgresql://", "postgres://")):
            message = "not the URL of a PostgreSQL database; write postgresql://user@host/name"
            raise PydanticCustomError(SECRET, message)
        return url
