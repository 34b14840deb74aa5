"""Does the gate's bookkeeping name files that are there, and all tests of the slow lane?"""

from pathlib import Path

import pytest

from tests.conftest import ALSO_DURABLE, DURABILITY, PROCESSES
from tests.distribution import (
    AGENTS,
    AGENTS_PATHS,
    BY_FIRST_WORD,
    CLOCKED,
    CLOCKED_PATHS,
    FIRST,
    FORKED_PATHS,
    PAGE,
    PAGE_PATHS,
    SERVED,
    SERVED_PATHS,
)

TESTS = Path(__file__).parents[1]
MARK = "@pytest.mark." + "durability"


def test_each_test_of_the_slow_lane_is_in_a_file_that_it_reads() -> None:
    """`make durability` collects these files alone."""
    marked = [path for path in TESTS.rglob("test_*.py") if MARK in path.read_text()]
    assert sorted(path.relative_to(TESTS).as_posix() for path in marked) == sorted(ALSO_DURABLE)


@pytest.mark.parametrize(
    "path",
    [
        *(f"tests/{name}" for name in (*DURABILITY, *ALSO_DURABLE, *PROCESSES)),
        *CLOCKED_PATHS,
        *AGENTS_PATHS,
        *SERVED_PATHS,
        *PAGE_PATHS,
        *BY_FIRST_WORD,
        *(path for path in FORKED_PATHS if not path.endswith("_")),
        *(
            group.partition(" ")[0]
            for group in FIRST
            if group not in (CLOCKED, AGENTS, SERVED, PAGE)
        ),
    ],
)
def test_what_is_named_is_there(path: str) -> None:
    assert (TESTS.parent / path).exists()
