"""How does a wheel get compiled kernels? With `NARFI_COMPILE=1`, as `make wheel` sets it.

Such a wheel is for one version of Python and one kind of processor, and building it needs Narfi's
dependencies (`--no-build-isolation`). Without, the wheel is for all, and the first start compiles.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

COMPILES = os.environ.get("NARFI_COMPILE") == "1"


class BuildWithKernels(build_py):
    """Copies the packages, then adds the compiled code of these sources and no other."""

    def run(self) -> None:
        """Into the folder from which the wheel is packed."""
        super().run()
        if COMPILES and not self.editable_mode:
            folder = Path(self.build_lib, "narfi", "core", "kernels", "compiled").absolute()
            shutil.rmtree(folder, ignore_errors=True)
            command = [sys.executable, "-m", "narfi.core.kernels.ship", str(folder)]
            subprocess.run(command, cwd=Path(__file__).parent, check=True)


class NativeDistribution(Distribution):
    """Tells whether there is machine code inside, so that the wheel's name does."""

    def has_ext_modules(self) -> bool:
        """Whether only one version of Python and kind of machine can use it."""
        return COMPILES


setup(cmdclass={"build_py": BuildWithKernels}, distclass=NativeDistribution)
