"""An empty store for each test, and servers that speak S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import fault_proxy, s3
from tests.storage.stored import Stored


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    """An empty store."""
    made = Stored(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.S3]:
    """One server for all tests; each has a bucket of its own."""
    with pytest.MonkeyPatch.context() as patch, s3.running() as server:
        for name, text in s3.CREDENTIALS.items():
            patch.setenv(name, text)
        yield server


@pytest.fixture
def proxy(s3_server: s3.S3) -> Iterator[fault_proxy.FaultProxy]:
    """A proxy before it that can be told to fail."""
    with fault_proxy.before(s3_server.port) as found:
        yield found
