"""How long does work go on that has no time-out of its own? While somebody wants it.

A kernel that is compiled now, and a pattern that is searched for in long texts, know nothing of the
request; so whoever works for one says first how to ask whether that is still wanted. Who says
nothing waits to the end.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]
"""Raises when the work is in vain."""

LOOK_S = 0.1
"""Between two looks."""
PAUSE_S = 1e-4
"""Longer than a thread takes to wake up."""


def _forever() -> None:
    pass


_check: ContextVar[Check] = ContextVar("check", default=_forever)


@contextmanager
def wanted_while(check: Check) -> Iterator[None]:
    """What is called in the `with` block goes on until the check raises."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def check_wanted() -> None:
    """Raises what the check of this thread raises."""
    _check.get()()


def let_others_run() -> None:
    """Leave Python's lock alone for a moment.

    For who gives it up and takes it again all the time, as with a call of RE2 for each match: a
    thread that waits for it is woken up each time, and comes too late.
    """
    time.sleep(PAUSE_S)
