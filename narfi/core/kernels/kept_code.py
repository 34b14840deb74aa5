"""How does Numba find the compiled code of a kernel, and keep what it compiled?

Numba asks the `_cache` of a dispatcher before it compiles and tells it afterwards. Its own cache
goes by one file's text and by the processor, and needs a folder that it can write; this one asks a
`CodeStore` for a name that holds a digest of everything the code depends on.
"""

import hashlib
import pickle
import platform
import sys
from typing import Any, cast

import llvmlite
import numba
from numba.core.compiler import CompileResult
from numba.core.runtime import nrt
from numba.core.serialize import dumps

from narfi.core.kernels.code_store import CodeStore
from narfi.core.kernels.source import source_digest

_VERSIONS = (
    "1",  # how a result is written below
    sys.implementation.cache_tag,
    sys.abiflags,
    numba.__version__,
    llvmlite.__version__,
    platform.machine(),
)
_TYPES_TEXT = 6
"""Place in a reduced result of the text that `inspect_types` prints, the largest part; left out."""


class KeptCode:
    """What Numba takes for the cache of one dispatcher."""

    cache_path = None

    def __init__(self, dispatcher: Any, store: CodeStore) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._source = ""

    def name(self, signature: Any, target_context: Any) -> str:
        """Of the code for a signature (Numba's, or a tuple of types): the same in every process."""
        function = self._dispatcher.py_func
        self._source = self._source or source_digest(self._dispatcher)
        parts = (*_VERSIONS, self._source, str(signature), *target_context.codegen().magic_tuple())
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}-{digest[:32]}"

    def find(self, signature: Any, target_context: Any) -> tuple[str, bytes] | None:
        """The name and the compiled code for a signature; None when it is not kept."""
        name = self.name(signature, target_context)
        code = self._store.find(name)
        return None if code is None else (name, code)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled function, or None.

        What compiled code calls of Numba's runtime is made known first. Numba itself refreshes its
        tables of types here, of which only a compiler reads, who does that too: 0.2 s at a start,
        and some milliseconds for each kernel.
        """
        nrt.rtsys.initialize(target_context)
        found = self.find(signature, target_context)
        rebuild = cast(Any, CompileResult)._rebuild
        return None if found is None else rebuild(target_context, *pickle.loads(found[1]))

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a compiled function for the next process."""
        if (
            any(not lifted.can_cache for lifted in result.lifted)
            or result.library.has_dynamic_globals
        ):
            return
        reduced = list(result._reduce())
        reduced[_TYPES_TEXT] = ""
        code = cast(Any, dumps)(tuple(reduced))
        self._store.put(self.name(signature, result.target_context), code)

    def flush(self) -> None:
        """Nothing is kept in memory."""
