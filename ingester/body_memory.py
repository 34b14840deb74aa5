"""Where does a decompressed body lie? In memory that the body before it lay in.

Fresh memory of a megabyte is mapped and filled with zeros page by page, and in no cache: that takes
a third of what decompressing into it does. Invariant: memory is given out again only after every
view of it is gone; and a view keeps at most twice the bytes of its body.
"""

import numpy as np

from ingester.arena import ArenaPool
from narfi.core.columns import U8

KEPT_BYTES = 3 << 19
"""Of one body; agents send about a megabyte of lines at a time."""
KEPT = 4
"""As many as are decompressed at once, by default."""

_POOL = ArenaPool(KEPT_BYTES, KEPT)


def body_memory(size: int) -> U8:
    """Writable memory for so many bytes; what is in it is anything."""
    if KEPT_BYTES // 2 <= size <= KEPT_BYTES:
        return _POOL.memory()[:size]
    return np.empty(size, np.uint8)
