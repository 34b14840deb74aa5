"""How long does a call wait for a kernel that is compiled now? While somebody wants its work.

A kernel has no time-out, and its caller cannot look at the clock while it waits; so whoever works
for a request says first how to ask whether that is still wanted. Who says nothing waits to the end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]
"""Raises when the work is in vain."""

LOOK_S = 0.1
"""Between two looks."""


def _forever() -> None:
    pass


_check: ContextVar[Check] = ContextVar("check", default=_forever)


@contextmanager
def wanted_while(check: Check) -> Iterator[None]:
    """Kernels that are called in the `with` block are waited for until the check raises."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def check_wanted() -> None:
    """Raises what the check of this thread raises."""
    _check.get()()
