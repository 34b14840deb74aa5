"""An empty store for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.stored import Stored


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    """An empty store."""
    made = Stored(tmp_path)
    yield made
    made.close()
