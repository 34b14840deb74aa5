"""How does a process that calls few kernels get their code? Each function's at its first call.

For a process that nobody waits for: it is there at once, and takes no memory for code that it does
not run. What no folder has is compiled then, and kept.
"""

from collections.abc import Callable
from typing import Any

from narfi.core.kernels.jit import Kernel, kernels


def load_on_demand() -> None:
    """Let every kernel that is imported so far be loaded when it is called."""
    by_function: dict[int, list[Kernel]] = {}
    for each in kernels():
        by_function.setdefault(id(each.function), []).append(each)
    for mine in by_function.values():
        mine[0].function._compile_for_args = _loader(mine)


def _loader(mine: list[Kernel]) -> Callable[..., Any]:
    """What Numba calls when a call fits no code that is there; calls what it is given back."""

    def load(*_arguments: object) -> Any:
        for each in mine:
            each.prepare()
        function = mine[0].function
        function.disable_compile()  # a call that fits none of them is an error
        return function

    return load
