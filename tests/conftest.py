"""Common to all tests: kernels compiled before the first test, so that no test pays for it."""

import os

import pytest
from hypothesis import settings

from narfi.core.kernels.jit import warm_up

# The gate always draws the same examples; NARFI_TEST_PROFILE=search draws new and more ones.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(os.environ.get("NARFI_TEST_PROFILE", "gate"))


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Compile or load every kernel that is imported so far."""
    for _ in warm_up():
        pass
