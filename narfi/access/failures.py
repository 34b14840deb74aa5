"""How often may somebody sign in wrongly? Some tries a minute from one address; then 429, untold.

A right token is let in all the same: behind a proxy all clients have one address, and 256 random
bits are not found by trying. What is bounded is what wrong ones cost: lines of the log.
"""

from collections import OrderedDict
from collections.abc import Callable

MOST = 20
"""Wrong tries of an address that are told and answered 401 before it waits."""
PER_S = MOST / 60
MOST_ADDRESSES = 10_000
"""Remembered; the one that was wrong longest ago is forgotten first."""
RETRY_AFTER_S = 5


class FailedSignIns:
    """Wrong tries by address; used by the event loop alone."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tries, at

    def is_too_many(self, address: str) -> bool:
        """Note a wrong try; whether the address had too many before."""
        now = self._seconds()
        left, at = self._left.pop(address, (float(MOST), now))
        left = min(float(MOST), left + (now - at) * PER_S)
        too_many = left < 1
        self._left[address] = (left if too_many else left - 1, now)
        if len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)
        return too_many
