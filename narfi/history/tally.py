"""How much was brought, of which stream and time? Entries and bytes of lines, by stream and window.

It is noted with each page, so that it is right after any interruption; `verify.py` compares it with
what both sides say.
"""

from collections import defaultdict
from collections.abc import Iterable

from narfi.core.wire.push_encode import PushEntry

Key = tuple[str, str, int]
"""Tenant, selector text, window: time // window length."""

Counts = dict[Key, list[int]]
"""Entries and bytes of lines."""


def tally(
    tenant: str, streams: Iterable[tuple[str, Iterable[PushEntry]]], window_ns: int
) -> Counts:
    """Count the entries of some streams."""
    found: Counts = defaultdict(lambda: [0, 0])
    for labels, entries in streams:
        low = high = 0  # of the window of the entry before: neighbours mostly share it
        cell: list[int] = [0, 0]
        for ts_ns, line, _ in entries:
            if not low <= ts_ns < high:
                window = ts_ns // window_ns
                low, high = window * window_ns, (window + 1) * window_ns
                cell = found[tenant, labels, window]
            cell[0] += 1
            cell[1] += len(line)
    return dict(found)
