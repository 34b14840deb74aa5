"""Common to all tests: kernels compiled before the first test, so that no test pays for it."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from narfi.core.kernels.jit import warm_up

# The gate always draws the same examples; NARFI_TEST_PROFILE=search draws new and more ones.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(os.environ.get("NARFI_TEST_PROFILE", "gate"))


PROCESSES = ("api", "clients", "server", "examples")
"""Folders whose tests start servers or commands: seconds each, so `make test-fast` leaves them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of those folders."""
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).parts[0] in PROCESSES:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Compile or load every kernel that is imported so far."""
    for _ in warm_up():
        pass
