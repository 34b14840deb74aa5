"""How much does a request do itself, without another thread? Less while several tenants ask."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from querier.executors.local import (
    HERE_BYTES,
    HERE_TASKS,
    SHARED_BYTES,
    SHARED_TASKS,
    is_small,
)


def tasks(count: int, line_bytes: int) -> Any:
    """Specs of which only the bytes are looked at."""
    return cast(Any, [SimpleNamespace(line_bytes=line_bytes)] * count)


@pytest.mark.parametrize(
    ("shared", "most", "size"),
    [(False, HERE_TASKS, HERE_BYTES), (True, SHARED_TASKS, SHARED_BYTES)],
)
def test_bounds(shared: bool, most: int, size: int) -> None:
    assert is_small(tasks(most, size // most), shared=shared)
    assert not is_small(tasks(most + 1, 1), shared=shared)
    assert not is_small(tasks(1, size + 1), shared=shared)
    assert not is_small(tasks(1, 0), shared=shared)


def test_less_is_done_by_who_shares() -> None:
    assert SHARED_TASKS < HERE_TASKS
    assert SHARED_BYTES < HERE_BYTES
