"""Does an error that is kept hold none of the values of the work that raised it?"""

import gc
import traceback
import weakref
from collections.abc import Iterator

import pytest

from narfi.core.tracebacks import forget_values


class Large:
    """Something that is to be freed."""


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only counts of references free anything."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Kept:
    """As a future: an error that frames know."""

    error: BaseException


def fail(kept: Kept, seen: list["weakref.ref[Large]"], deep: int) -> None:
    """Raise through frames that know what keeps the error, with a cause and a context."""
    large = Large()
    seen.append(weakref.ref(large))
    try:
        if deep:
            fail(kept, seen, deep - 1)
        raise ValueError(deep)
    except ValueError as error:
        if deep % 2:
            raise TypeError(deep) from error
        raise


def keep(kept: Kept, deep: int = 5) -> list["weakref.ref[Large]"]:
    """What it held."""
    seen: list[weakref.ref[Large]] = []
    try:
        fail(kept, seen, deep)
    except Exception as error:  # noqa: BLE001 - as a future does
        kept.error = error
    return seen


@pytest.mark.usefixtures("no_collector")
def test_values_are_let_go_and_lines_are_told() -> None:
    kept = Kept()
    seen = keep(kept)
    assert all(one() is not None for one in seen), "else nothing is shown"
    before = "".join(traceback.format_exception(kept.error))
    forget_values(kept.error)
    assert [one() for one in seen] == [None] * 6
    assert "".join(traceback.format_exception(kept.error)) == before
    assert "in fail" in before


def test_frames_that_run_keep_their_values() -> None:
    large = Large()
    try:
        raise ValueError
    except ValueError as error:
        forget_values(error)
        assert isinstance(large, Large)


def test_errors_that_are_behind_each_other() -> None:
    one, other = ValueError(1), ValueError(2)
    one.__cause__, other.__cause__ = other, one
    forget_values(one)
    assert one.__cause__ is other
