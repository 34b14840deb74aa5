"""Does a server that is ready leave behind what its start made?"""

import gc
from collections.abc import Iterator

import pytest

from narfi.server.after_start import settle


@pytest.fixture
def unfrozen() -> Iterator[None]:
    """The collector looks at everything again afterwards."""
    yield
    gc.unfreeze()


class Node:
    """Part of a cycle."""

    other: "Node | None" = None


@pytest.mark.usefixtures("unfrozen")
def test_the_collector_leaves_out_what_was_there() -> None:
    held = [[number] for number in range(50_000)]
    settle()
    assert gc.get_freeze_count() > len(held)
    assert len(gc.get_objects()) < 10_000
    first, second = Node(), Node()
    first.other, second.other = second, first
    del first, second
    assert gc.collect() >= 2, "what comes later is collected as ever"
    assert held[7] == [7]
