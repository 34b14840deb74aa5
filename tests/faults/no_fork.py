"""A scan process to which the system gives no children."""

import os
from collections.abc import Sequence

from querier import scan_process


def main(descriptors: Sequence[int], nicer: int) -> None:
    """As `querier.scan_process.main`, where each fork fails."""

    def refused() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    os.fork = refused
    scan_process.main(descriptors, nicer)
