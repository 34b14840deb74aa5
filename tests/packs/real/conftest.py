"""Programs that `make packs` unpacks, and a server to ask about them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packs.real.watching import Watched
from tests.served import Api, api, running

__all__ = ["api", "running"]

BIN = Path(__file__).parents[3] / ".clients"
Find = Callable[[str], str]


@pytest.fixture(autouse=True)
def _in_the_slow_lane() -> None:
    if os.environ.get("NARFI_TEST_NEIGHBOURS") != "1":
        pytest.skip("real programs in a slow lane: make packs")


@pytest.fixture
def program() -> Find:
    """The command of a program; the test is skipped where it was not unpacked."""

    def find(name: str) -> str:
        for folder in (BIN / "neighbours/bin", BIN / "bin"):
            if (folder / name).exists():
                return str(folder / name)
        pytest.skip(f"no {name}: make packs or make kubernetes brings it")

    return find


@pytest.fixture
def watch(api: Api) -> Callable[[str], Watched]:
    """A pack by its name, in a tenant of the test's own."""
    return lambda name: Watched(api, name)
