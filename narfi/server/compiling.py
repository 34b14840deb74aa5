"""Where are kernels compiled? In a process of its own, whose compiler goes when it is done.

A compiler keeps what it worked with: a server that compiled its kernels itself stayed some hundred
MB larger than one that loaded them. So the first start lets a child compile, and loads then; where
that does not work, or nothing can be kept, the process compiles as it loads.
"""

import subprocess
import sys
from collections.abc import Callable

import structlog

from narfi.core.kernels.jit import mark, warm_up

log = structlog.get_logger(__name__)

CHILD = (
    "import narfi.server.wiring\n"
    "from narfi.core.kernels.jit import warm_up\n"
    "for done, total, _ in warm_up():\n"
    "    print(done, total, flush=True)\n"
)
"""The same kernels are registered there: those of all that a server imports."""

Report = Callable[[str], None]


def compile_kernels(report: Report) -> None:
    """Make all kernels ready to be called; blocks."""
    if not mark().exists():
        _in_a_child(report)
    for done, total, _ in warm_up():
        report(f"loading kernels ({done}/{total})")


def _in_a_child(report: Report) -> None:
    try:
        with subprocess.Popen(
            [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                done, _, total = line.strip().partition(" ")
                report(f"compiling kernels, first start only ({done}/{total})")
    except OSError as error:
        log.warning("kernels are compiled in the server itself", error=str(error))
