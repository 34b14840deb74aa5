"""How is a kernel compiled, and when?

`@kernel(signature, ...)` makes a nopython, nogil function whose compiled code is kept
(`code_store.py`); `warm_up()` loads or compiles every registered signature and then forbids further
compilation, so that no query or push ever waits for a compiler. Kernels without a signature are
device functions, compiled into their callers.

All code is for a generic processor of the machine's kind, so that it may be shipped, and so that
what was tested is what runs (`NUMBA_CPU_NAME` names another one). Compiled code is found by a
digest of its source and of what it calls (`source.py`), its signature, the processor, and the
versions of Python and Numba.

In a signature `cu8 cu32 ci32 ci64 cf64 cbool` stand for contiguous arrays that are only read (they
also accept read-only buffers, such as Arrow's); `uint8[::1]` and the like are for outputs.

Invariant: kernels never run with `parallel=True`; threads come from our pools.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import types

from narfi.core.kernels.code_store import CodeStore, usual_folders
from narfi.core.kernels.kept_code import KeptCode

P = ParamSpec("P")
R = TypeVar("R")

_NAMES = dict(vars(types)) | {
    "cu8": types.Array(types.uint8, 1, "C", readonly=True),
    "cu16": types.Array(types.uint16, 1, "C", readonly=True),
    "cu8x2": types.Array(types.uint8, 2, "C", readonly=True),
    "cu32": types.Array(types.uint32, 1, "C", readonly=True),
    "cu64": types.Array(types.uint64, 1, "C", readonly=True),
    "ci32": types.Array(types.int32, 1, "C", readonly=True),
    "ci64": types.Array(types.int64, 1, "C", readonly=True),
    "ci64x2": types.Array(types.int64, 2, "C", readonly=True),
    "cf64": types.Array(types.float64, 1, "C", readonly=True),
    "cbool": types.Array(types.boolean, 1, "C", readonly=True),
}


_STORE = CodeStore(usual_folders())
_CHECKS_BOUNDS = os.environ.get("NUMBA_BOUNDSCHECK") == "1"
"""For tests; such code is not kept."""

if "NUMBA_CPU_NAME" not in os.environ:
    vars(numba.config).update(CPU_NAME="generic", CPU_FEATURES="")


@dataclass(frozen=True)
class Kernel:
    """One function for one signature: what is compiled, kept and loaded as a whole."""

    function: Any
    """Numba's dispatcher; may have other signatures beside this one."""
    signature: Any
    """Numba's."""

    @property
    def name(self) -> str:
        """The function's name with its module's."""
        function = self.function.py_func
        return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    def kept(self) -> tuple[str, bytes] | None:
        """Its compiled code, and the name under which it is kept; None when it is not."""
        if _CHECKS_BOUNDS:
            return None
        name = self.function._cache.name(self.signature, self.function.targetctx)
        code = _STORE.find(name)
        return None if code is None else (name, code)

    def prepare(self) -> None:
        """Load its code, or compile and keep it."""
        self.function.disable_compile(False)
        self.function.compile(self.signature)


_KERNELS: list[Kernel] = []
"""In order of definition; filled by the decorator at import."""


def kernel(*signatures: str, inline: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a free function over arrays; `signatures` such as ``"int64(cu8, int64)"``.

    The caller allocates outputs. Arguments are arrays (C-contiguous) and scalars only.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        dispatcher: Any = numba.njit(
            nogil=True,
            boundscheck=_CHECKS_BOUNDS,
            inline="always" if inline else "never",
        )(function)
        if not _CHECKS_BOUNDS:
            dispatcher._cache = KeptCode(dispatcher, _STORE)
        _KERNELS.extend(Kernel(dispatcher, eval(text, {}, _NAMES)) for text in signatures)
        return cast(Callable[P, R], dispatcher)

    return decorate


def kernels() -> tuple[Kernel, ...]:
    """All that are imported so far, in order of definition."""
    return tuple(_KERNELS)


def compiled_count() -> int:
    """How many kernels this process had to compile."""
    functions = {id(each.function): each.function for each in _KERNELS}
    return sum(sum(function.stats.cache_misses.values()) for function in functions.values())


def warm_up() -> Iterator[tuple[int, int, str]]:
    """Load or compile every kernel; yields (done, total, name) after each one.

    May be called again, for kernels that were imported meanwhile; the others cost nothing then.
    """
    total = len(_KERNELS)
    for done, each in enumerate(_KERNELS, start=1):
        each.prepare()
        yield done, total, each.name
    for each in _KERNELS:
        each.function.disable_compile()
