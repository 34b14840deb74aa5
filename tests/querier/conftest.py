"""What tests of queries run on."""

from collections.abc import Iterator

import pytest

from querier.executors.local import LocalExecutor


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    """Two threads."""
    found = LocalExecutor(2)
    yield found
    found.close()
