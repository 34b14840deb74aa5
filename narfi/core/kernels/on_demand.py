"""How is code loaded that may not be needed, or not yet? Each function's at its first call.

A process that calls few kernels is there at once, and takes no memory for code that it does not
run. What no folder has is compiled then, and kept.
"""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from narfi.core.kernels.jit import Kernel, kernels

_loading = threading.Lock()
"""Held while the code of a function is loaded: one thread does, others wait for it."""


def load_on_demand() -> None:
    """Let every kernel that is imported so far be loaded when it is called."""
    for mine in by_function(kernels()):
        load_when_called(mine)


def by_function(some: Iterable[Kernel]) -> list[list[Kernel]]:
    """Those of one function together."""
    found: dict[int, list[Kernel]] = {}
    for each in some:
        found.setdefault(id(each.function), []).append(each)
    return list(found.values())


def load_when_called(mine: Sequence[Kernel]) -> None:
    """Let all kernels of one function be loaded when it is called."""
    function = mine[0].function

    # called by Numba when a call fits no code that is there; Numba calls what it is given back
    def load(*_arguments: object) -> Any:
        load_now(mine)
        return function

    function._compile_for_args = load


def load_now(mine: Sequence[Kernel]) -> None:
    """Load all kernels of one function, unless that was done; others are an error from then on."""
    with _loading:
        if not all(each.is_loaded for each in mine):
            for each in mine:
                each.prepare()
        mine[0].function.disable_compile()
