"""How does who writes a block say how far it is? A function that is told a share of the work."""

from collections.abc import Callable

Progress = Callable[[float], None]
"""Told which share of the work is done, of 1; on the thread that works; it must return at once."""


def untold(_share: float) -> None:
    """For work of which nobody wants to know how far it is."""


def part_of(whole: Progress, first: float, end: float) -> Progress:
    """The progress of a piece of work that is `[first, end)` of the whole."""
    return lambda share: whole(first + share * (end - first))
