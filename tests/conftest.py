"""Common to all tests: kernels compiled before the first test, so that no test pays for it."""

import pytest
from hypothesis import settings

from narfi.core.kernels.jit import warm_up

settings.register_profile("narfi", deadline=None, print_blob=True)
settings.load_profile("narfi")


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Compile or load every kernel that is imported so far."""
    for _ in warm_up():
        pass
