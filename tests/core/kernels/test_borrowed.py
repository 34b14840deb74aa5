"""Kernels borrow their arrays: none returns one, none makes one without saying so, none counts."""

import sys
from types import ModuleType, NoneType
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError

from narfi.core.columns import I64
from narfi.core.kernels.jit import CHECKS_BOUNDS, kernel, kernels
from narfi.core.kernels.modules import import_all

VALUES = (int, bool, float, np.uint64, NoneType)
"""What a kernel may return, and tuples of it."""


def functions() -> list[Any]:
    """All kernels and device functions of the project."""
    import_all()
    modules = [m for m in sys.modules.values() if isinstance(m, ModuleType)]
    ours = [m for m in modules if m.__name__.startswith("narfi.core.kernels.")]
    found = {id(v): v for m in ours for v in vars(m).values() if isinstance(v, Dispatcher)}
    return list(found.values())


def test_none_returns_an_array() -> None:
    found = functions()
    assert {id(one.function) for one in kernels()} <= {id(one) for one in found}
    for one in found:
        returned = get_type_hints(one.py_func)["return"]
        assert all(part in VALUES for part in get_args(returned) or (returned,)), one


def compiled(one: Any, signature: str) -> Any:
    """A kernel of a test, compiled and not kept."""
    one._cache = NullCache()
    one.compile(signature)
    return one


def _sum_of_new(size: int) -> int:
    made = np.empty(size, np.int64)
    for k in range(size):
        made[k] = k
    return int(made.sum())


def test_one_that_makes_arrays_must_say_so() -> None:
    with pytest.raises(NumbaError):
        compiled(kernel()(_sum_of_new), "int64(int64)")
    assert compiled(kernel(allocates=True)(_sum_of_new), "int64(int64)")(5) == 10


@pytest.mark.skipif(CHECKS_BOUNDS, reason="bounds are checked by other code")
def test_no_reference_is_counted() -> None:
    def first_of(data: I64) -> int:
        return data.ctypes.data

    def some(data: I64, count: int) -> int:
        found = 0
        for _ in range(count):
            found += inner(data)
        return found

    inner: Any = kernel()(first_of)
    inner._cache = NullCache()
    borrowing, counting = kernel()(some), kernel(allocates=True)(some)
    signature = "int64(int64[::1], int64)"
    code, other = (
        "\n".join(compiled(one, signature).inspect_llvm().values()) for one in (borrowing, counting)
    )
    assert "NRT_" not in code
    assert "NRT_" in other, "counting is seen in what is compiled"
