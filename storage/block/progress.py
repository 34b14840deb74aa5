"""How does who writes a block say how far it is? A function that is told a share of the work."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[float], None]
"""Told which share of the work is done, of 1; on the thread that works; it must return at once."""


def untold(_share: float) -> None:
    """For work of which nobody wants to know how far it is."""


def part_of(whole: Progress, first: float, end: float) -> Progress:
    """The progress of a piece of work that is `[first, end)` of the whole."""
    return lambda share: whole(first + share * (end - first))


def told(
    items: Iterable[T], size_of: Callable[[T], int], whole: int, progress: Progress
) -> Iterator[T]:
    """The items; `progress` hears of each, when the next one is asked for, by its share."""
    done = 0
    for item in items:
        yield item
        done += size_of(item)
        progress(done / whole)
