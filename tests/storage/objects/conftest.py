"""Servers that speak S3, for tests of objects."""

from collections.abc import Iterator

import pytest

from tests.servers import fault_proxy, s3


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
