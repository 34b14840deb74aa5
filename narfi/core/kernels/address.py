"""How does a kernel read memory by address? One byte or eight, wherever they lie.

Indexing an array in Numba tests for a negative index and passes seven words an array to every
function; a load by address does neither, and compares eight bytes at once. Nothing checks these
reads: a kernel that uses them compares with its own `end` before each one. Invariant: no byte at or
behind `end` is read, so buffers need no slack.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from narfi.core.kernels.jit import kernel

# memcmp(a, b, size) -> 0 when equal; addresses as integers
memcmp: Any = types.ExternalFunction("memcmp", types.int32(types.intp, types.intp, types.intp))

# memchr(a, byte, size) -> address or 0
memchr: Any = types.ExternalFunction("memchr", types.intp(types.intp, types.int32, types.intp))


def _loader(bits: int, kind: Any) -> Any:
    """A function that reads an unsigned integer of so many bits, at any alignment, as `kind`."""

    def load(_typing: Any, _address: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            return builder.zext(builder.load(pointer, align=1), ir.IntType(64))

        return kind(types.intp), generate

    return intrinsic(load)


def _storer(bits: int) -> Any:
    """A function that writes the lowest bits of an integer, at any alignment."""

    def store(_typing: Any, _address: Any, _value: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            builder.store(builder.trunc(arguments[1], ir.IntType(bits)), pointer, align=1)

        return types.void(types.intp, types.int64), generate

    return intrinsic(store)


def _counter() -> Any:
    """A function that counts the bytes of zeros at the low end of a word."""

    def lowest(_typing: Any, _word: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            zeros = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))
            return builder.lshr(zeros, ir.Constant(ir.IntType(64), 3))

        return types.int64(types.uint64), generate

    return intrinsic(lowest)


load8: Callable[[int], int] = _loader(8, types.int64)
"""The byte at an address, 0 to 255."""
load64: Callable[[int], np.uint64] = _loader(64, types.uint64)
"""The eight bytes at an address, the first one lowest."""
load_int: Callable[[int], int] = _loader(64, types.int64)
"""The int64 at an address."""
load32: Callable[[int], int] = _loader(32, types.int64)
"""The uint32 at an address."""
store_int: Callable[[int, int], None] = _storer(64)
"""Put an int64 at an address."""
store32: Callable[[int, int], None] = _storer(32)
"""Put the lowest 32 bits at an address."""

lowest_byte: Callable[[np.uint64], int] = _counter()
"""Which byte of a word has its lowest bit that is set, 0 to 7; 8 where none is."""


@kernel()
def load_until(at: int, end: int) -> np.uint64:
    """The eight bytes at an address; zeros in place of those from `end` on."""
    if end - at >= 8:
        return load64(at)
    word = np.uint64(0)
    shift = np.uint64(0)
    while at < end:
        word |= np.uint64(load8(at)) << shift
        shift += np.uint64(8)
        at += 1
    return word
