"""Which modules define kernels? Every one of this folder."""

import importlib
import pkgutil

from narfi.core import kernels


def import_all() -> None:
    """Every module that may define a kernel, so that `jit.kernels()` lists them all."""
    for module in pkgutil.iter_modules(kernels.__path__, f"{kernels.__name__}."):
        importlib.import_module(module.name)
