"""Which shapes of a family may hold what a question looks for? As it was worked out before.

Dashboards and alerts ask for the same words again and again, and what a block holds never changes;
what is known of its columns and plain lines does, so it is part of the question.
Invariant: a family remembers few answers of short words, a few kilobytes of an index of many.
"""

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from narfi.core.columns import Mask

MOST_KNOWN = 8
MOST_BYTES = 128
"""Of the words of a question that is remembered."""


class Question(NamedTuple):
    """What was looked for."""

    group: int  # of the family's file
    needles: tuple[bytes, ...]
    filtered: frozenset[int]  # columns of which there are filters: always the same ones
    has_grams: bool  # of the plain lines


class KnownNeedles:
    """For one family: its shapes, and its plain lines behind them; thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[Question, Mask] = OrderedDict()
        self._lock = Lock()

    def get(self, question: Question) -> Mask | None:
        """Read only; None for what is not remembered."""
        return self._known.get(question)

    def put(self, question: Question, held: Mask) -> None:
        """Remember it, and forget what was remembered first."""
        if sum(map(len, question.needles)) > MOST_BYTES:
            return
        with self._lock:
            self._known[question] = held
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
