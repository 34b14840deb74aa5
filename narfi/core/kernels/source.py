"""Is the compiled code of a kernel the code of its source? A digest of all that the compiler reads.

That is the kernel's bytecode, its constants, the values of the globals that it names (tables and
numbers of the module), and the same of every function that it calls. When a file was written or
where it lies does not matter, and neither do comments.
"""

import hashlib
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import types
from numba.core.dispatcher import Dispatcher

_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic, types.Type)


class UnknownValueError(TypeError):
    """A kernel names something of which it cannot be told whether it changed."""


def source_digest(dispatcher: Any) -> str:
    """Hexadecimal SHA-256 of the sources of a kernel and of all it calls.

    Raises `UnknownValueError` where it names a global of a kind that is not known here.
    """
    digest = hashlib.sha256()
    for text in _parts("", dispatcher, set()):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def source_size(dispatcher: Any) -> int:
    """Characters of what `source_digest` reads, a function once."""
    return sum(len(text) for text in _parts("", dispatcher, set()))


def _parts(name: str, value: Any, seen: set[int]) -> Iterator[str]:
    """What a value says to the compiler; a function that was told before is only named."""
    yield name
    if isinstance(value, Dispatcher):
        yield repr(sorted(value.targetoptions.items()))
        yield from _function(value.py_func, seen)
    elif isinstance(value, FunctionType):
        yield from _function(value, seen)
    elif isinstance(value, ModuleType):
        yield value.__name__
    elif isinstance(value, type):
        yield f"{value.__module__}.{value.__qualname__}"
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype.str} {value.shape} {value.tobytes().hex()}"
    elif isinstance(value, types.ExternalFunction):
        yield f"{value.symbol} {value.sig}"
    elif isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
    elif isinstance(value, tuple):
        yield f"tuple {len(value)}"
        for item in value:
            yield from _parts("", item, seen)
    elif isinstance(defined := getattr(value, "_defn", None), FunctionType):  # an intrinsic
        yield from _function(defined, seen)
    else:
        raise UnknownValueError(f"a kernel names {name!r}, which is a {type(value).__name__}")


def _function(function: FunctionType, seen: set[int]) -> Iterator[str]:
    yield f"{function.__module__}.{function.__qualname__}"
    if id(function) in seen:
        return
    seen.add(id(function))
    for value in function.__defaults__ or ():
        yield from _parts("default", value, seen)
    for cell in function.__closure__ or ():
        yield from _parts("cell", cell.cell_contents, seen)
    known = function.__globals__
    for code in _codes(function.__code__):
        yield f"{code.co_code.hex()} {code.co_names}"
        is_doc = code.co_consts[:1] == (function.__doc__,)
        for constant in code.co_consts[is_doc:]:
            if not isinstance(constant, CodeType):
                yield from _parts("constant", constant, seen)
        for name in code.co_names:
            if name in known:
                yield from _parts(name, known[name], seen)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of those that are defined within."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
