"""Commands that `make clients` builds. This folder is read only when it is named."""

import shutil
from collections.abc import Callable

import pytest


@pytest.fixture
def built() -> Callable[[str], str]:
    """The path of a command."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not built: make clients does it where Go is")
        return path

    return find
