"""The tests of upkeep use the empty store that those of storage use."""

from tests.storage.conftest import stored

__all__ = ["stored"]
