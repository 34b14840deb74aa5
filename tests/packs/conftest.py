"""One server without listeners for the tests of a file."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from narfi.packs.trial import Place
from narfi.server.lab import Bench, bench
from promtail_agent.packs.load import Shelf

_NUMBERS = count()


@pytest.fixture(scope="module")
def there() -> Iterator[Bench]:
    """A server without listeners. What it flushes by itself, it logs: into what commands of other
    files print, were it there for longer."""
    with bench() as found:
        yield found


@pytest.fixture
def place(there: Bench, tmp_path: Path) -> Place:
    """A tenant and a folder of one test."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return Place(bench=there, folder=folder, tenant=f"test-{next(_NUMBERS)}")


@pytest.fixture
def shelf() -> Shelf:
    """The shipped packs."""
    return Shelf.of_environment({})
