"""How long does an import wait for a server that is busy or away? Longer each time, up to an end.

What a server asks for (`Retry-After`) is kept; without it pauses double from half a second to half
a minute. The end comes when nothing went well for so long: then somebody has to look.
"""

import random
import time
from collections.abc import Callable

from narfi.history.page import Sleep

FIRST_S, LONGEST_S = 0.5, 30.0


class Patience:
    """Pauses between attempts of one request; `give_up_s` from its first failure on."""

    def __init__(
        self,
        give_up_s: float,
        told: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._give_up_s, self._told, self._clock, self._sleep = give_up_s, told, clock, sleep
        self._since: float | None = None
        self._pause_s = FIRST_S

    def went_well(self) -> None:
        """The next failure is a first one again."""
        self._since, self._pause_s = None, FIRST_S

    def wait(self, problem: str, retry_after_s: float = 0.0) -> bool:
        """Wait before another attempt; False when it has been long enough."""
        now = self._clock()
        if self._since is None:
            self._since = now
        pause_s = retry_after_s or self._pause_s * random.uniform(0.8, 1.2)
        if now - self._since + pause_s > self._give_up_s:
            return False
        self._pause_s = min(self._pause_s * 2, LONGEST_S)
        self._told(f"{problem}; again in {pause_s:.0f} s" if pause_s >= 1 else problem)
        self._sleep(pause_s)
        return True
