"""How is a kernel compiled, and when?

`@kernel(signature, ...)` makes a nopython, nogil function whose compiled code is kept
(`code_store.py`); `warming.py` loads or compiles every registered signature when a process starts,
and then forbids further compilation. Kernels without a signature are device functions, compiled
into their callers.

All code is for a generic processor of the machine's kind, so that it may be shipped, and so that
what was tested is what runs (`NUMBA_CPU_NAME` names another one). Compiled code is found by a
digest of its source and of what it calls (`source.py`), its signature, the processor, and the
versions of Python and Numba.

In a signature `cu8 cu32 ci32 ci64 cf64 cbool` stand for contiguous arrays that are only read (they
also accept read-only buffers, such as Arrow's); `uint8[::1]` and the like are for outputs.

Kernels borrow their arrays from the caller, who holds them until the call returns: Numba's counts
of references, an atomic step wherever an array is used (a tenth of a flush), are off. So a kernel
that makes arrays says so (`allocates`; without, compiling it fails), and none returns one.

Invariant: kernels never run with `parallel=True`; threads come from our pools.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import types

from narfi.core.kernels.code_store import CodeStore, usual_folders
from narfi.core.kernels.kept_code import KeptCode
from narfi.core.kernels.source import source_size

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
CHECKS_BOUNDS = os.environ.get("NUMBA_BOUNDSCHECK") == "1"
"""For tests; such code is not kept."""

if "NUMBA_CPU_NAME" not in os.environ:
    vars(numba.config).update(CPU_NAME="generic", CPU_FEATURES="")


@dataclass(frozen=True, eq=False)
class Kernel:
    """One function for one signature: what is compiled, kept and loaded as a whole."""

    function: Any
    """Numba's dispatcher; may have other signatures beside this one."""
    signature: Any
    """Numba's."""
    is_early: bool
    """Whether a push or a simple query needs it: the first of those that are compiled."""
    is_soon: bool
    """Whether a first query may well need it: what is kept of it is loaded at once, too."""

    @property
    def name(self) -> str:
        """Module, function and types: another one for each kernel, the same in every process."""
        function = self.function.py_func
        return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}{self.signature}"

    @property
    def size(self) -> int:
        """Characters of all that is compiled for it, which tell roughly how long that takes."""
        return source_size(self.function)

    @property
    def is_loaded(self) -> bool:
        """Whether calls find its code."""
        return tuple(self.signature.args) in self.function.overloads

    def kept(self) -> tuple[str, bytes] | None:
        """Its compiled code, and the name under which it is kept; None when it is not."""
        cache = self.function._cache
        if not isinstance(cache, KeptCode):
            return None
        return cache.find(self.signature, self.function.targetctx)

    def prepare(self) -> None:
        """Load its code, or compile and keep it."""
        self.function.disable_compile(False)
        self.function.compile(self.signature)


_KERNELS: list[Kernel] = []
"""In order of definition; filled by the decorator at import."""


def kernel(
    *signatures: str,
    inline: bool = False,
    early: bool = False,
    soon: bool = False,
    allocates: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a free function over arrays; `signatures` such as ``"int64(cu8, int64)"``.

    The caller allocates outputs. Arguments are arrays (C-contiguous) and scalars only. `early`:
    a push or a simple query needs it, so a first start is not ready without; `soon`: so does a
    query with `json` or `logfmt`, so a start loads it, but does not wait for it to be compiled.
    `allocates`: it makes arrays of its own, which count their references.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        counts: dict[str, Any] = {"_nrt": allocates}  # Numba's stubs do not know it
        dispatcher: Any = numba.njit(
            nogil=True,
            boundscheck=CHECKS_BOUNDS,
            inline="always" if inline else "never",
            **counts,
        )(function)
        if not CHECKS_BOUNDS:
            dispatcher._cache = KeptCode(dispatcher, _STORE)
        for text in signatures:
            _KERNELS.append(Kernel(dispatcher, eval(text, {}, _NAMES), early, early or soon))
        return cast(Callable[P, R], dispatcher)

    return decorate


def kernels() -> tuple[Kernel, ...]:
    """All that are imported so far, in order of definition."""
    return tuple(_KERNELS)
