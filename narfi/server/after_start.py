"""What becomes of all that a start made? What only it needed goes back; the rest is left alone.

A full run of Python's collector goes over every object while no thread may run Python. There are a
quarter of a million when a server is ready, most of them Numba's: 150 ms of CPU time, several times
as long on a busy machine, in the middle of everybody's pushes. They stay for ever, so the collector
is told to leave them out.
"""

import gc

from narfi.core.file_pages import give_back_file_pages
from narfi.core.trim import give_back


def leave_alone() -> None:
    """Before the first request: the collector looks at nothing that is there."""
    gc.freeze()


def settle() -> None:
    """Once everything is loaded; looks at what came since `leave_alone`."""
    gc.collect()
    gc.freeze()
    give_back()
    give_back_file_pages()
