"""How is a kernel compiled, and when?

`@kernel(signature, ...)` makes a nopython, nogil function that is cached on disk; `warm_up()`
compiles every registered signature (or loads it from the cache) and then forbids further
compilation, so that no query or push ever waits for a compiler. Kernels without a signature are
device functions, compiled into their callers. Compiled code is kept in a folder that is named by a
digest of all kernel files, since a cached caller does not notice a change in another file.

In a signature `cu8 cu32 ci32 ci64 cf64 cbool` stand for contiguous arrays that are only read (they
also accept read-only buffers, such as Arrow's); `uint8[::1]` and the like are for outputs.

Invariant: kernels never run with `parallel=True`; threads come from our pools.
"""

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import types

P = ParamSpec("P")
R = TypeVar("R")

_REGISTERED: list[tuple[Any, str]] = []
"""Dispatchers with a signature each, in order of definition; filled by the decorator at import."""

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

_FOLDER = Path(__file__).parent


def _cache_folder() -> Path:
    """Where the code of these very sources is kept; folders of other versions are removed."""
    digest = hashlib.sha256(f"{sys.version} {numba.__version__}".encode())
    for file in sorted(_FOLDER.glob("*.py")):
        digest.update(file.read_bytes())
    parent = _FOLDER / "__pycache__"
    if not os.access(_FOLDER, os.W_OK):
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        parent = Path(cache) / "narfi"
    folder = parent / f"kernels-{digest.hexdigest()[:16]}"
    if not folder.exists():
        for old in parent.glob("kernels-*"):
            shutil.rmtree(old, ignore_errors=True)
    return folder


vars(numba.config)["CACHE_DIR"] = str(_cache_folder())

_NO_CACHE = os.environ.get("NUMBA_BOUNDSCHECK") == "1"


def kernel(*signatures: str, inline: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a free function over arrays; `signatures` such as ``"int64(cu8, int64)"``.

    The caller allocates outputs. Arguments are arrays (C-contiguous) and scalars only.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        dispatcher = numba.njit(
            nogil=True,
            cache=not _NO_CACHE,
            boundscheck=_NO_CACHE,
            inline="always" if inline else "never",
        )(function)
        _REGISTERED.extend((dispatcher, signature) for signature in signatures)
        return cast(Callable[P, R], dispatcher)

    return decorate


def mark() -> Path:
    """Where it is noted that every registered kernel has been compiled."""
    return Path(vars(numba.config)["CACHE_DIR"]) / f"complete-{len(_REGISTERED)}"


def registered_count() -> int:
    """How many compilations `warm_up` will do or load."""
    return len(_REGISTERED)


def warm_up() -> Iterator[tuple[int, int, str]]:
    """Compile or load every registered kernel; yields (done, total, name) after each one.

    May be called again, for kernels that were imported meanwhile; the others cost nothing then.
    """
    total = len(_REGISTERED)
    for done, (dispatcher, signature) in enumerate(_REGISTERED, start=1):
        dispatcher.disable_compile(False)
        dispatcher.compile(eval(signature, {}, _NAMES))
        yield done, total, dispatcher.py_func.__name__
    for dispatcher, _ in _REGISTERED:
        dispatcher.disable_compile()
    if not _NO_CACHE:
        with contextlib.suppress(OSError):  # nothing can be kept there
            mark().touch()
