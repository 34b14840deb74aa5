"""The server of the API tests, for clients that other people wrote."""

from tests.api.conftest import api, running

__all__ = ["api", "running"]
