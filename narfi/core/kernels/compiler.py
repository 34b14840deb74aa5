"""How does another process compile kernels for this one?

It imports the kernels, reads names of kernels on its input, a line each, and answers each with a
line once the kernel's code is kept where this process finds it. It ends with its input: when this
process closes it, or dies.
"""

import subprocess
import sys
from contextlib import suppress
from typing import Protocol

from narfi.core.kernels.jit import kernels
from narfi.core.kernels.modules import import_all


class Compiler(Protocol):
    """Somebody else who compiles."""

    def compile(self, name: str) -> bool:
        """Compile and keep the kernel of that name; false when the compiler is gone or failed."""

    def kill(self) -> None:
        """End it at once; another thread that waits for `compile` gets false."""

    def close(self) -> None:
        """End it; called by the thread that calls `compile`."""


class CompilerProcess:
    """A process that compiles one kernel after another; started by the constructor.

    Raises `OSError` when there can be no process.
    """

    def __init__(self) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is for the server
        )

    def compile(self, name: str) -> bool:
        """Ask, and wait for the answer."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(name.encode() + b"\n")
            self._process.stdin.flush()
            return self._process.stdout.readline() == b"kept\n"
        except OSError:
            return False

    def kill(self) -> None:
        """What it was compiling is given up."""
        self._process.kill()

    def close(self) -> None:
        """End the process and wait for its end."""
        with suppress(OSError), self._process:  # what it was told last may be unread: it is dead
            self.kill()
        self._process.wait()


def main() -> None:
    """The other process."""
    import_all()
    known = {each.name: each for each in kernels()}
    for line in sys.stdin:
        found = known.get(line.rstrip("\n"))
        if found is not None:
            found.prepare()
        is_kept = found is not None and found.kept() is not None
        sys.stdout.write("kept\n" if is_kept else "not kept\n")
        sys.stdout.flush()
